"""The last values of a series, and a slope that outliers do not move."""

import math
from collections import deque
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Window:
    """The last `size` numbers that are not NaN; memory and time do not grow with the series.

    They are put in order when that is asked for, which is rarer than a number comes.

    Examples
    --------
    >>> window = Window(3)
    >>> for value in (5.0, 1.0, float("nan"), 2.0, 3.0):
    ...     window.push(value)
    >>> window.values(), window.median(), window.quantile(0.25)
    ([1.0, 2.0, 3.0], 2.0, 1.5)
    """

    __slots__ = ("_sorted", "_values", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._values: deque[float] = deque(maxlen=size)
        self._sorted: list[float] = []

    def __len__(self) -> int:
        return len(self._values)

    @property
    def full(self) -> bool:
        """Whether it holds as many numbers as it can."""
        return len(self._values) == self.size

    def push(self, value: float) -> None:
        """Take `value` in and let the oldest one go; NaN is left out."""
        if value == value:
            self._values.append(value)
            self._sorted = []

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()
        self._sorted = []

    def median(self) -> float:
        """The middle value; NaN of none."""
        return self.quantile(0.5)

    def quantile(self, share: float) -> float:
        """Linear quantile, as ``numpy.quantile`` has it; NaN of no values."""
        ordered = self._sorted
        if not ordered:
            if not self._values:
                return math.nan
            ordered = self._sorted = sorted(self._values)
        place = share * (len(ordered) - 1)
        below = int(place)
        low = ordered[below]
        if place == below or low == ordered[below + 1]:  # infinities are not subtracted
            return low
        return low + (ordered[below + 1] - low) * (place - below)

    def total(self) -> float:
        """Their sum, the same whatever came before them."""
        return math.fsum(self._values)

    def values(self) -> list[float]:
        """The numbers, the oldest first."""
        return list(self._values)

    def refill(self, values: list[float]) -> None:
        """Hold exactly `values`, which `values` gave."""
        self.clear()
        self._values.extend(values)


def theil_sen(values: ArrayLike) -> tuple[float, float]:
    """Median slope over all pairs of equally spaced values, and how steadily they rise.

    Parameters
    ----------
    values : array_like of shape (n,), n >= 2

    Returns
    -------
    slope : float
        Change from one value to the next (Theil 1950, Sen 1968).
    steadiness : float
        Share of pairs that rise minus share of those that fall, from -1 to 1 (Kendall's tau a).

    Examples
    --------
    >>> theil_sen([1.0, 2.0, 90.0, 4.0, 5.0])
    (1.0, 0.6)
    """
    y = np.asarray(values, dtype=np.float64)
    first, second, apart = _pairs(len(y))
    rises = y[second] - y[first]
    balance = np.count_nonzero(rises > 0) - np.count_nonzero(rises < 0)
    return float(np.median(rises / apart)), float(balance / len(rises))


@lru_cache(maxsize=64)
def _pairs(count: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    first, second = np.triu_indices(count, k=1)
    return first, second, second - first
