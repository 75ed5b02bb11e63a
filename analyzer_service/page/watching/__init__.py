"""Watching runs: what is committed as it is, and its numbers as charts show them."""
