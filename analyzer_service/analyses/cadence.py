"""How often what is costly, or too much to look at, is made."""

from typing import Final

DETAIL_EVERY: Final = 20
"""Every so many batches of a phase: all attention metrics to W&B, p-values of single tiles."""
