"""The run's own numbers at a step: means over its ranks.

What is said of a step depends on the rows of its ranks only, not on their order.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

from analyzer_service.analyses import pathology_names
from analyzer_service.commit.rows import is_of_frame
from analyzer_service.sinks.plain import metrics_of

_SHARED: Final = ("epoch", "batch_idx", "global_step", "phase_step")
_COUNTS: Final = ("_undefined", "_flat", "_low_contrast")
_LAYERS: Final = ("attention_", "activation_")

Numbers = Mapping[str, float]


def mean_over_ranks(rows: Sequence[Numbers]) -> dict[str, float]:
    """One row for the run, of the rows of its ranks at one step.

    Each metric is the mean over the ranks that have it, as if their tiles were one batch: what the
    analyzer measured is weighted by how many tiles it saw, the rest by how many the batches hold,
    evenly where a rank does not say that. Counts of tiles are added up.

    Parameters
    ----------
    rows : sequence of mapping
        Numbers of the rows of one step, NaN where undefined; at least one.

    Returns
    -------
    dict
        `epoch`, `batch_idx`, `global_step`, `phase_step`; `ranks`, how many rows there were;
        `timestamp` of the last rank; `batch_size` and `samples` of all together; the metrics, NaN
        where no rank has a finite value.

    Examples
    --------
    >>> place = {"epoch": 0, "batch_idx": 4, "global_step": 5, "phase_step": 5}
    >>> sizes = {"timestamp": 7.0, "samples": 0}
    >>> first = {**place, **sizes, "rank": 0, "batch_size": 3, "loss": 1.0}
    >>> second = {**place, **sizes, "rank": 1, "batch_size": 1, "loss": 2.0}
    >>> mean = mean_over_ranks([first, second])
    >>> mean["loss"], mean["batch_size"], mean["ranks"]
    (1.25, 4, 2)
    """
    metrics = [metrics_of(row) for row in rows]
    names = dict.fromkeys(name for each in metrics for name in each)
    return {
        **{name: rows[0][name] for name in _SHARED},
        "ranks": len(rows),
        "timestamp": max(row["timestamp"] for row in rows),
        "batch_size": sum(row["batch_size"] for row in rows),
        **{name: _together(name, rows) for name in names},
        "samples": sum(row["samples"] for row in rows),
    }


def _together(name: str, rows: Sequence[Numbers]) -> float:
    having = [row for row in rows if math.isfinite(row.get(name, math.nan))]
    values = [row[name] for row in having]
    if not values:
        return math.nan
    if _is_count(name):
        return math.fsum(values)
    weights = [row["samples" if is_of_frame(name) else "batch_size"] for row in having]
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        weights = [1] * len(values)
    total = math.fsum(value * weight for value, weight in zip(values, weights, strict=True))
    return total / math.fsum(weights)


def _is_count(name: str) -> bool:
    """Whether it is a number of tiles, as `catalog` of the page knows them."""
    if name in pathology_names.COUNTS or name.startswith(pathology_names.LAYER_COUNT):
        return True
    return name.startswith(_LAYERS) and name.endswith(_COUNTS)
