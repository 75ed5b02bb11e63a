"""What a report needs of all rows of a phase, gathered in one pass over its stretches."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import Names
from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.stretches import KEPT, Stretch
from analyzer_service.commit.totals import Totals
from analyzer_service.sinks.quantiles import Values, quantiles

Floats = NDArray[np.float64]

TIMINGS: Final = ("training_time_ms", "inference_time_ms", "data_time_ms")
_SPENT: Final = KEPT.index("training_time_ms")
_SIZES: Final = KEPT.index("batch_size")


@dataclass(frozen=True)
class Timing:
    """Median and 95th percentile of a time, and of how many batches."""

    median: float = float("nan")
    high: float = float("nan")
    n: int = 0


class PhaseRows:
    """Statistics of the rows of `phase` up to `release`.

    Parameters
    ----------
    names : sequence of str
        Whose means over each epoch are gathered.
    traced : sequence of str
        For whose ends and extremes stretches are found.
    """

    def __init__(
        self,
        reader: RunReader,
        phase: str,
        release: int,
        *,
        names: Sequence[str] = (),
        traced: Sequence[str] = (),
    ) -> None:
        self._stretches = reader.stretches(phase, upto=release)
        self._times = Times()
        self._epochs: dict[int, _EpochSums] = {}
        self._places = {name: _Places() for name in traced}
        self._names = list(names)
        self.tiles, self.timed_tiles, self.step_ms = 0, 0, 0.0
        self.totals = Totals.of(self._taken())

    @property
    def rows(self) -> int:
        """How many they are."""
        return sum(each.rows for each in self._epochs.values())

    def timings(self) -> dict[str, Timing]:
        """Of `TIMINGS`, exact whatever the number of rows."""
        return self._times.timings(lambda: self._stretches)

    def epoch_means(self) -> Iterator[tuple[int, int, dict[str, float]]]:
        """Each epoch, ascending: its number, its rows, means of `names` (NaN where undefined)."""
        for epoch in sorted(self._epochs):
            found = self._epochs[epoch]
            means = np.where(found.counts > 0, found.sums / np.maximum(found.counts, 1), np.nan)
            yield epoch, found.rows, dict(zip(self._names, means.tolist(), strict=True))

    def ends_and_extremes(self) -> Iterator[tuple[Floats, Floats]]:
        """Steps (rows,), and values (rows, traced) of some stretches of the phase, in order.

        The first and the last finite value of each traced number, the least and the largest
        that comes first, are among them.
        """
        every = (each for places in self._places.values() for each in places.stretches())
        for _, stretch in sorted({each.first: each for each in every}.items()):
            found = self._stretches.values(stretch, ["phase_step", *self._places])
            yield found[:, 0], found[:, 1:]

    def _taken(self) -> Iterator[Stretch]:
        for stretch in self._stretches:
            self._take(stretch)
            yield stretch

    def _take(self, stretch: Stretch) -> None:
        self._times.extend(stretch)
        spent, sizes = stretch.kept[_SPENT], stretch.kept[_SIZES]
        known = np.isfinite(sizes)
        timed = known & np.isfinite(spent)
        self.tiles += int(sizes[known].sum())
        self.timed_tiles += int(sizes[timed].sum())
        self.step_ms += float(spent[timed].sum())
        for name, places in self._places.items():
            if name in _place_of(stretch.names):
                places.take(stretch, _place_of(stretch.names)[name])
        self._take_epochs(stretch)

    def _take_epochs(self, stretch: Stretch) -> None:
        counts, sums = self._sums_of_epochs(stretch)
        for place, (epoch, rows) in enumerate(zip(stretch.epochs, stretch.epoch_rows, strict=True)):
            found = self._epochs.setdefault(int(epoch), _EpochSums.of_nothing(len(self._names)))
            found.rows += int(rows)
            found.counts += counts[place]
            found.sums += sums[place]

    def _sums_of_epochs(self, stretch: Stretch) -> tuple[Floats, Floats]:
        """Counts and sums (epochs, names) of the wanted names."""
        counts, sums = np.zeros((2, len(stretch.epochs), len(self._names)))
        if stretch.epoch_counts is not None and stretch.epoch_sums is not None:
            to, source = _shared(tuple(self._names), stretch.names)
            counts[:, to] = stretch.epoch_counts[:, source]
            sums[:, to] = stretch.epoch_sums[:, source]
            return counts, sums
        values = self._stretches.values(stretch, ["epoch", *self._names])
        for place, epoch in enumerate(stretch.epochs):
            own = values[values[:, 0] == epoch, 1:]
            counts[place] = np.isfinite(own).sum(axis=0)
            sums[place] = np.where(np.isfinite(own), own, 0.0).sum(axis=0)
        return counts, sums


class Times:
    """Every value of `TIMINGS`, as far as they fit."""

    def __init__(self) -> None:
        self._values = {name: Values() for name in TIMINGS}

    def extend(self, stretch: Stretch) -> None:
        """Take the rows of a stretch."""
        for name, block in _times_of(stretch).items():
            self._values[name].extend(block)

    def timings(self, again: Callable[[], Iterable[Stretch]]) -> dict[str, Timing]:
        """Medians and percentiles; `again` gives the same stretches anew, if they did not fit."""
        found = quantiles(self._values, (0.5, 0.95), lambda: map(_times_of, again()))
        return {
            name: Timing(median, high, self._values[name].n)
            for name, (median, high) in found.items()
        }


@dataclass
class _EpochSums:
    rows: int
    counts: Floats
    sums: Floats

    @classmethod
    def of_nothing(cls, names: int) -> "_EpochSums":
        return cls(0, np.zeros(names), np.zeros(names))


@dataclass
class _Places:
    """Stretches in which a number begins, ends, is least and is largest."""

    first: Stretch | None = None
    last: Stretch | None = None
    lowest: tuple[float, Stretch] | None = None
    highest: tuple[float, Stretch] | None = None

    def take(self, stretch: Stretch, place: int) -> None:
        if not stretch.counts[place]:
            return
        self.first, self.last = self.first or stretch, stretch
        low, high = float(stretch.lows[place]), float(stretch.highs[place])
        if self.lowest is None or low < self.lowest[0]:
            self.lowest = low, stretch
        if self.highest is None or high > self.highest[0]:
            self.highest = high, stretch

    def stretches(self) -> Iterator[Stretch]:
        ends = [each for each in (self.first, self.last) if each is not None]
        yield from ends
        yield from (found[1] for found in (self.lowest, self.highest) if found is not None)


def _times_of(stretch: Stretch) -> Mapping[str, Floats]:
    return {name: stretch.kept[KEPT.index(name)] for name in TIMINGS}


@lru_cache(maxsize=64)
def _place_of(names: Names) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


@lru_cache(maxsize=64)
def _shared(wanted: Names, names: Names) -> tuple[list[int], list[int]]:
    """Where the names that both have are in the one and in the other."""
    places = _place_of(names)
    pairs = [(to, places[name]) for to, name in enumerate(wanted) if name in places]
    return [to for to, _ in pairs], [source for _, source in pairs]
