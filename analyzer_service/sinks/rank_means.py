"""The run's own numbers at each step: means over its ranks.

Rows of a step are neighbors, as they are released step by step. What is said of a step depends
on the rows of its ranks only, not on their order.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from analyzer_service.commit.views import Row
from analyzer_service.sinks.plain import metrics_of

_SHARED: Final = ("phase", "epoch", "batch_idx", "global_step", "phase_step")


def by_step(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows that follow each other and are of one step."""
    for _, found in groupby(rows, key=_step_of):
        yield list(found)


def whole_steps(rows: Sequence[Row], *, ranks: int, ended: bool) -> list[list[Row]]:
    """`rows` by step, without a last step of which more rows may come.

    `ended`: no row follows `rows`.
    """
    steps = list(by_step(rows))
    if steps and len(steps[-1]) < ranks and not ended:
        steps.pop()
    return steps


def mean_over_ranks(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One row for the run, of the rows of its ranks at one step.

    Each metric is the mean over the ranks that have it, weighted by how many tiles their batches
    hold, or evenly where one does not say that.

    Parameters
    ----------
    rows : sequence of mapping
        Values of the rows of one step; at least one.

    Returns
    -------
    dict
        `phase`, `epoch`, `batch_idx`, `global_step`, `phase_step`; `timestamp` of the last rank;
        `batch_size` and `samples` of all together; `ranks`, how many rows there were; the metrics,
        NaN where no rank has a finite value.

    Examples
    --------
    >>> place = {"phase": "train", "epoch": 0, "batch_idx": 4, "global_step": 5, "phase_step": 5}
    >>> sizes = {"timestamp": 7.0, "samples": 0}
    >>> first = {**place, **sizes, "rank": 0, "batch_size": 3, "loss": 1.0}
    >>> second = {**place, **sizes, "rank": 1, "batch_size": 1, "loss": 2.0}
    >>> mean = mean_over_ranks([first, second])
    >>> mean["loss"], mean["batch_size"], mean["ranks"]
    (1.25, 4, 2)
    """
    sizes = [row["batch_size"] for row in rows]
    known = all(size is not None and math.isfinite(size) and size > 0 for size in sizes)
    weights = [float(size) for size in sizes] if known else [1.0] * len(rows)
    metrics = [metrics_of(row) for row in rows]
    names = dict.fromkeys(name for each in metrics for name in each)
    return {
        **{name: rows[0][name] for name in _SHARED},
        "timestamp": max(row["timestamp"] for row in rows),
        "batch_size": sum(sizes) if known else None,
        "samples": sum(row["samples"] for row in rows),
        "ranks": len(rows),
        **{name: _mean([each.get(name) for each in metrics], weights) for name in names},
    }


def _mean(values: Sequence[float | None], weights: Sequence[float]) -> float:
    pairs = zip(values, weights, strict=True)
    finite = [(v, w) for v, w in pairs if v is not None and math.isfinite(v)]
    if not finite:
        return math.nan
    total = math.fsum(value * weight for value, weight in finite)
    return total / math.fsum(weight for _, weight in finite)


def _step_of(row: Row) -> tuple[Any, ...]:
    return tuple(row.values[name] for name in ("phase", "global_step", "phase_step"))
