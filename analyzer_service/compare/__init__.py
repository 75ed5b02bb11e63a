"""Runs side by side: what was set differently, and what came of it."""

from analyzer_service.compare.content import Comparison, compare_runs

__all__ = ["Comparison", "compare_runs"]
