"""Numbers of health over time, few enough to be drawn."""

import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

POINTS: Final = 600
_SILENCE_S: Final = 20.0
_SILENCES: Final = POINTS // 8
_GAUGES: Final = (
    *("ingest_lag_s", "work_lag_s", "frames_waiting", "waiting_bytes", "trainer_waiting_bytes"),
    *("records_uncommitted", "rss_bytes", "children_rss_bytes"),
)
COLUMNS: Final = ("at", *_GAUGES, "dropped")
"""Unix time in seconds, gauges, and dropped frames, which are counted up."""


def rows_of(lines: Iterable[Mapping[str, Any]]) -> NDArray[np.float64]:
    """Numbers of lines of `health.jsonl`, of shape (N, len(COLUMNS)); NaN where there is none."""
    rows = [[_number(line.get(name)) for name in COLUMNS] for line in lines]
    return np.array(rows, dtype=np.float64).reshape(-1, len(COLUMNS))


def history(rows: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Columns by name over at most `POINTS` parts of the time, most of them equally long.

    Of a gauge each part has its largest value, as a peak is what matters; of the dropped frames
    the last. A part that nothing was noted in is left out; where the analyzer was silent or away
    there is one row of NaN, at the middle of that time.

    Parameters
    ----------
    rows : ndarray of shape (N, len(COLUMNS))
        As `rows_of` makes them.
    """
    if len(rows) == 0:
        return {name: np.empty(0) for name in COLUMNS}
    rows = rows[np.argsort(rows[:, 0], kind="stable")]
    at = rows[:, 0]
    width = max((at[-1] - at[0]) / (POINTS - _SILENCES - 1), 1e-9)
    parts = np.floor((at - at[0]) / width)
    starts = np.concatenate([[0], np.flatnonzero(np.diff(parts)) + 1])
    ends = np.append(starts[1:], len(rows)) - 1
    found = rows[ends]
    found[:, 1:-1] = np.fmax.reduceat(rows[:, 1:-1], starts, axis=0)
    gaps = at[starts[1:]] - at[ends[:-1]]
    silent = np.flatnonzero(gaps > max(_SILENCE_S, 3 * width))[:_SILENCES]
    between = np.full((len(silent), len(COLUMNS)), np.nan)
    between[:, 0] = (at[starts[1:]] + at[ends[:-1]])[silent] / 2
    found = np.insert(found, silent + 1, between, axis=0)
    return {name: found[:, column] for column, name in enumerate(COLUMNS)}


def _number(value: Any) -> float:
    """The value if it is one that can be drawn: a file may hold anything."""
    drawn = isinstance(value, int | float) and math.isfinite(value)
    return float(value) if drawn else math.nan
