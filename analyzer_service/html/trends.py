"""A metric over a run: rolling quantiles of its batches, or each validation by itself."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_SHARES: Final = (0.1, 0.5, 0.9)
_PLACES: Final = 120
_WINDOWS: Final = 40
_LEAST: Final = 5
_MOST_GROUPS: Final = 60


@dataclass(frozen=True)
class Trend:
    """A curve: the median and the middle 80 % at each place; undefined is NaN.

    `window` is how many values make a place, 0 where they are those of one step.
    """

    steps: Floats
    low: Floats
    middle: Floats
    high: Floats
    window: int


def rolling(steps: Floats, values: Floats) -> Trend:
    """Rolling quantiles of `values` (N,) at `steps` (N,), ascending; at most 120 places.

    Windows hold a 40th of the values, 5 at least; those at both ends are cut short.

    Examples
    --------
    >>> trend = rolling(np.arange(9.0), np.arange(9.0))
    >>> trend.window, float(trend.middle[4]), float(trend.low[4])
    (5, 4.0, 2.4)
    """
    count = len(values)
    window = max(_LEAST, count // _WINDOWS) | 1
    centers = np.unique(np.linspace(0, max(count - 1, 0), min(count, _PLACES)).round().astype(int))
    around = centers[:, None] + np.arange(-(window // 2), window // 2 + 1)[None, :]
    inside = (around >= 0) & (around < count)
    found = np.where(inside, values[np.clip(around, 0, max(count - 1, 0))], np.nan)
    return Trend(steps[centers], *_quantiles(found), window)


def by_step(steps: Floats, values: Floats) -> Trend:
    """Quantiles of the values of each step: of a validation, which has one step.

    With more than 60 different steps the quantiles are rolling ones.
    """
    found, where = np.unique(steps, return_inverse=True)
    if len(found) > _MOST_GROUPS:
        return rolling(steps, values)
    most = int(np.bincount(where, minlength=1).max(initial=1))
    table = np.full((len(found), most), np.nan)
    order = np.argsort(where, kind="stable")
    place = np.arange(len(where)) - np.searchsorted(where[order], where[order])
    table[where[order], place] = values[order]
    return Trend(found, *_quantiles(table), 0)


def _quantiles(table: Floats) -> tuple[Floats, Floats, Floats]:
    """Quantiles of each row (linear, as numpy's), NaN left out; NaN of a row without values."""
    table = np.sort(table, axis=1)  # NaN goes last
    counts = np.isfinite(table).sum(axis=1)
    rows = np.arange(len(table))
    found = []
    for share in _SHARES:
        at = share * np.maximum(counts - 1, 0)
        below = np.floor(at).astype(int)
        above = np.minimum(below + 1, np.maximum(counts - 1, 0))
        lower, upper = table[rows, below], table[rows, above]
        found.append(lower + (at - below) * (upper - lower))
    return found[0], found[1], found[2]
