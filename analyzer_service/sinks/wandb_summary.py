"""The numbers of W&B's run summary, kept up to date row by row."""

import math
from collections.abc import Mapping
from typing import Any

from analyzer_service.commit.reader import RunReader

_BEST = {"loss": min, "ssim": max}


def fold_row(summary: dict[str, float], values: Mapping[str, Any]) -> None:
    """Take one row into `summary`: batches, and first, last and best loss and SSIM.

    Examples
    --------
    >>> summary = {}
    >>> fold_row(summary, {"phase": "val", "loss": 0.5, "ssim": None})
    >>> fold_row(summary, {"phase": "val", "loss": 0.7, "ssim": 0.8})
    >>> summary["summary/val_batches"], summary["summary/val_loss_best"]
    (2, 0.5)
    """
    start = f"summary/{values['phase']}_"
    summary[f"{start}batches"] = summary.get(f"{start}batches", 0) + 1
    for name, better in _BEST.items():
        value = values.get(name)
        if value is None or not math.isfinite(value):
            continue
        key = f"{start}{name}"
        summary.setdefault(f"{key}_first", value)
        summary[f"{key}_last"] = value
        summary[f"{key}_best"] = better(value, summary.get(f"{key}_best", value))


def final_summary(reader: RunReader, numbers: Mapping[str, float]) -> dict[str, Any]:
    """`numbers` of the rows with the run's state and its books of frames."""
    state, books = reader.state(), reader.books().values()
    return {
        **numbers,
        "summary/status": state.status,
        "summary/reason": state.reason,
        "summary/epochs": len(reader.epochs()),
        "summary/frames_offered": sum(totals.offered for totals in books),
        "summary/frames_delivered": sum(totals.delivered for totals in books),
        "summary/frames_dropped": sum(totals.dropped for totals in books),
    }
