"""Analyses of the user's own: a class to subclass, in a notebook and beside a run."""
