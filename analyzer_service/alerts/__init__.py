"""Alerts: rules over the rows of a run, each with a plain sentence and a threshold to set."""
