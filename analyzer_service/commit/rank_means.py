"""The run's own numbers at a step: means over its ranks.

What is said of a step depends on the rows of its ranks only, not on their order.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses import pathology_names
from analyzer_service.commit.rows import is_of_frame
from analyzer_service.sinks.plain import KEYS

_SHARED: Final = ("epoch", "batch_idx", "global_step", "phase_step")
_COUNTS: Final = ("_undefined", "_flat", "_low_contrast")
_LAYERS: Final = ("attention_", "activation_")

_KEYS: Final = frozenset(KEYS)

Floats = NDArray[np.float64]
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
    ordered = sorted(rows, key=lambda row: row["rank"])
    names = tuple(dict.fromkeys(name for row in ordered for name in row if name not in _KEYS))
    return {
        **{name: ordered[0][name] for name in _SHARED},
        "ranks": len(rows),
        "timestamp": max(row["timestamp"] for row in rows),
        "batch_size": sum(row["batch_size"] for row in rows),
        **dict(zip(names, _together(ordered, names).tolist(), strict=True)),
        "samples": sum(row["samples"] for row in rows),
    }


def _together(rows: Sequence[Numbers], names: tuple[str, ...]) -> Floats:
    values = np.array([[row.get(name, math.nan) for name in names] for row in rows])
    known, (of_frame, counts) = np.isfinite(values), _kinds(names)
    sizes = np.array([[row["batch_size"], row["samples"]] for row in rows])
    weights = np.where(known, sizes[:, of_frame.astype(int)], 0.0)
    unsaid = (known & ~(np.isfinite(weights) & (weights > 0))).any(axis=0)
    weights[:, unsaid] = known[:, unsaid]
    kept = np.where(known, values, 0.0)
    with np.errstate(invalid="ignore", over="ignore"):
        shares = np.where(counts, 1.0, weights / weights.sum(axis=0))
        together: Floats = np.where(known.any(axis=0), (kept * shares).sum(axis=0), np.nan)
    return together


@lru_cache(maxsize=64)
def _kinds(names: tuple[str, ...]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which numbers were measured on frames, and which are counts of tiles."""
    of_frame = np.fromiter(map(is_of_frame, names), bool)
    return of_frame, np.fromiter(map(_is_count, names), bool)


def _is_count(name: str) -> bool:
    """Whether it is a number of tiles, as `catalog` of the page knows them."""
    if name in pathology_names.COUNTS or name.startswith(pathology_names.LAYER_COUNT):
        return True
    return name.startswith(_LAYERS) and name.endswith(_COUNTS)
