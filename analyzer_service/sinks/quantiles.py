"""Exact quantiles of any number of values, in bounded memory.

As many values as fit are held and sorted. Of more the ones beside each quantile are found by
counting: a pass over all values counts them by their first twelve bits (whose order is that of the
values), the next one those that begin like the one sought by their next twelve, until what is left
fits, after six passes at most.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Passes = Callable[[], Iterable[Mapping[str, Floats]]]
"""Begins a pass over all values: blocks of them, by name."""

HELD: Final = 1 << 21
"""Values of one name that are held, 16 MiB."""
_BITS: Final = 12
_BINS: Final = 1 << _BITS
_SIGN: Final = np.uint64(1 << 63)


@dataclass
class Values:
    """The finite values of one name as long as they are at most `most`; then only their number."""

    most: int = HELD
    n: int = 0
    held: list[Floats] = field(default_factory=list)

    def extend(self, values: Floats) -> None:
        """Take values; those that are not finite are left out."""
        finite = values[np.isfinite(values)]
        self.n += finite.size
        if self.n <= self.most:
            self.held.append(finite)
        else:
            self.held.clear()


def quantiles(
    found: Mapping[str, Values], shares: Sequence[float], again: Passes
) -> dict[str, list[float]]:
    """Quantiles (linear, as numpy's default) at `shares` in [0, 1] by name; NaN without values.

    Parameters
    ----------
    found : mapping of str to Values
        After the first pass over all values.
    again : callable
        Begins another pass over the same values; not called where all are held.

    Examples
    --------
    >>> blocks = [np.array([4.0, 1.0]), np.array([np.nan, 3.0, 2.0])]
    >>> few = Values(most=1)
    >>> for block in blocks:
    ...     few.extend(block)
    >>> quantiles({"ms": few}, [0.5, 1.0], lambda: ({"ms": block} for block in blocks))
    {'ms': [2.5, 4.0]}
    """
    sought = {
        name: [_ranks(share, values.n) for share in shares]
        for name, values in found.items()
        if values.n > values.most
    }
    searches = [
        _Search(name, rank, found[name].most)
        for name, pairs in sought.items()
        for rank in sorted({rank for below, above, _ in pairs for rank in (below, above)})
    ]
    _search(searches, again)
    at = {(each.name, each.rank): each.value for each in searches}
    return {
        name: [
            float(np.quantile([at[name, below], at[name, above]], rest))
            for below, above, rest in sought[name]
        ]
        if name in sought
        else _of_held(values, shares)
        for name, values in found.items()
    }


def _of_held(values: Values, shares: Sequence[float]) -> list[float]:
    if not values.n:
        return [math.nan] * len(shares)
    return [float(q) for q in np.quantile(np.concatenate(values.held), shares)]


def _ranks(share: float, n: int) -> tuple[int, int, float]:
    """The two values, counted from 0, between which a quantile lies, and how far from the first."""
    at = share * (n - 1)
    below = math.floor(at)
    return below, min(below + 1, n - 1), at - below


@dataclass
class _Search:
    """Looks for the value of `rank`, from 0, ascending.

    What is known of it are the bits above the lowest `unknown`, and how many values come before
    all that begin with them.
    """

    name: str
    rank: int
    most: int
    value: float = math.nan
    _known: int = 0
    _unknown: int = 64
    _before: int = 0
    _counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(_BINS, dtype=np.int64))
    _held: list[NDArray[np.uint64]] | None = None

    def take(self, keys: NDArray[np.uint64]) -> None:
        """Take values of a pass, by their keys."""
        if self._unknown < 64:
            keys = keys[keys >> np.uint64(self._unknown) == self._known]
        if self._held is not None:
            self._held.append(keys)
            return
        bits = keys >> np.uint64(max(self._unknown - _BITS, 0)) & np.uint64(_BINS - 1)
        if self._unknown < _BITS:
            bits &= np.uint64((1 << self._unknown) - 1)
        self._counts += np.bincount(bits.astype(np.intp), minlength=_BINS)

    def end(self) -> bool:
        """End a pass: whether the value is found."""
        at = self.rank - self._before
        if self._held is not None:
            self.value = _value(int(np.partition(np.concatenate(self._held), at)[at]))
            return True
        upto, bits = np.cumsum(self._counts), min(_BITS, self._unknown)
        bin_ = int(np.searchsorted(upto, at, side="right"))
        count = int(self._counts[bin_])
        self._before += int(upto[bin_]) - count
        self._known, self._unknown = self._known << bits | bin_, self._unknown - bits
        self._counts[:] = 0
        if self._unknown == 0:
            self.value = _value(self._known)
            return True
        if count <= self.most:
            self._held = []
        return False


def _keys(values: Floats) -> NDArray[np.uint64]:
    """Whole numbers in the order of `values`, which are finite."""
    bits = np.ascontiguousarray(values).view(np.uint64)
    return np.where(bits & _SIGN, ~bits, bits | _SIGN)


def _value(key: int) -> float:
    bits = np.array([key], dtype=np.uint64)
    return float(np.where(bits & _SIGN, bits ^ _SIGN, ~bits).view(np.float64)[0])


def _search(searches: list[_Search], again: Passes) -> None:
    while searches:
        names = {each.name for each in searches}
        for block in again():
            keys = {name: _keys(block[name][np.isfinite(block[name])]) for name in names}
            for each in searches:
                each.take(keys[each.name])
        searches = [each for each in searches if not each.end()]
