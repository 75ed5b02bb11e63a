"""Statistics of many stretches put together, as exact as those of two passes over all rows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import Names
from analyzer_service.commit.stretches import Stretch

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Totals:
    """Statistics of rows; arrays have a value for each of `names`, as those of a `Stretch`.

    `means` are 0 without a finite value; `rests` are what their rounding leaves, so that squares
    about them stay exact where the numbers are much larger than they differ.
    """

    names: Names
    present: Floats
    counts: Floats
    means: Floats
    rests: Floats
    squares: Floats
    lows: Floats
    highs: Floats

    @classmethod
    def of(cls, stretches: Iterable[Stretch]) -> "Totals":
        """Of all rows of `stretches`; they are joined in pairs, so that rounding does not add up.

        Squares about the means are joined by the update of Chan, Golub and LeVeque (1983).
        """
        waiting: list[tuple[int, Totals]] = []
        for stretch in stretches:
            size, found = 1, cls._of(stretch)
            while waiting and waiting[-1][0] == size:
                size, found = 2 * size, waiting.pop()[1].joined(found)
            waiting.append((size, found))
        whole = cls._of_nothing()
        for _, found in reversed(waiting):
            whole = found.joined(whole)
        return whole

    @classmethod
    def _of(cls, stretch: Stretch) -> Self:
        means = stretch.sums / np.maximum(stretch.counts, 1)
        return cls(
            *(stretch.names, stretch.present, stretch.counts, means, stretch.rests),
            *(stretch.squares, stretch.lows, stretch.highs),
        )

    @classmethod
    def _of_nothing(cls) -> Self:
        return cls((), *(np.zeros(0) for _ in range(7)))

    def joined(self, other: "Totals") -> "Totals":
        """Of both."""
        names = self.names
        if other.names != names:
            names = tuple(dict.fromkeys((*self.names, *other.names)))
        mine, theirs = self._spread(names), other._spread(names)
        counts = mine.counts + theirs.counts
        with np.errstate(over="ignore", invalid="ignore"):
            share = theirs.counts / np.maximum(counts, 1)
            apart = (theirs.means - mine.means) + (theirs.rests - mine.rests)
            means, rests = _exact_sum(mine.means, mine.rests + apart * share)
            both = mine.counts * share
            between = np.where(both > 0, apart * apart * both, 0.0)
            return Totals(
                *(names, mine.present + theirs.present, counts, means, rests),
                mine.squares + theirs.squares + between,
                np.fmin(mine.lows, theirs.lows),
                np.fmax(mine.highs, theirs.highs),
            )

    def _spread(self, names: Names) -> "Totals":
        """With a place for each of `names`, those that are lacking without a value."""
        if names == self.names:
            return self
        places = {name: place for place, name in enumerate(names)}
        at = [places[name] for name in self.names]
        zeros = [np.zeros(len(names)) for _ in range(5)]
        nans = [np.full(len(names), np.nan) for _ in range(2)]
        mine = (self.present, self.counts, self.means, self.rests, self.squares)
        for empty, values in zip((*zeros, *nans), (*mine, self.lows, self.highs), strict=True):
            empty[at] = values
        return Totals(names, *zeros, *nans)


def _exact_sum(one: Floats, other: Floats) -> tuple[Floats, Floats]:
    """The rounded sum, and what rounding left (Knuth's two-sum)."""
    whole = one + other
    back = whole - one
    return whole, (one - (whole - back)) + (other - back)
