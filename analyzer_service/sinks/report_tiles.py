"""What the report needs of the analyzed tiles, gathered in one pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer_service.commit.reader import RunReader, SampleRow
from analyzer_service.figures.ranges import GoodRange
from analyzer_service.sinks.moments import Moments, Table


@dataclass
class Share:
    """How many of the tiles with a value lie in a good range."""

    inside: int = 0
    n: int = 0

    def add(self, verdict: str) -> None:
        """Take one tile's verdict; undefined ones do not count."""
        self.inside += verdict == "in"
        self.n += verdict != "undefined"

    @property
    def value(self) -> float:
        """Share in [0, 1]; NaN without tiles."""
        return self.inside / self.n if self.n else math.nan


@dataclass
class Scale:
    """Pixel sizes of tiles, in micrometers: how many are known or not, and the extremes."""

    known: int = 0
    unknown: int = 0
    finest: float = math.inf
    coarsest: float = 0.0

    def add(self, mpp: float | None) -> None:
        """Take one tile's."""
        if mpp is None:
            self.unknown += 1
            return
        self.known += 1
        self.finest, self.coarsest = min(self.finest, mpp), max(self.coarsest, mpp)


@dataclass
class Tiles:
    """Statistics of a phase's tiles: over the whole run, its first and its last epoch.

    Attributes
    ----------
    shares : dict of str to Share
        For the metrics that were asked for: tiles of the last epoch in the good range.
    ids, sources, slides : set of str
        Which tiles the last epoch holds, and where they come from.
    scale : Scale
        Of all tiles, as each tile says it.
    """

    first: int = -1
    last: int = -1
    whole: Table = field(default_factory=Table)
    at_first: Table = field(default_factory=Table)
    at_last: Table = field(default_factory=Table)
    shares: dict[str, Share] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    sources: set[str] = field(default_factory=set)
    slides: set[str] = field(default_factory=set)
    scale: Scale = field(default_factory=Scale)

    def add(self, row: SampleRow, ranges: Mapping[str, GoodRange]) -> None:
        """Take one tile."""
        self.whole.add(row.values)
        self.scale.add(row.sample.mpp)
        if row.epoch == self.first:
            self.at_first.add(row.values)
        if row.epoch == self.last:
            self._add_last(row, ranges)

    def over_run(self, name: str) -> Moments:
        """Statistics of a metric over all tiles."""
        return self.whole.moments(name)

    def evolution(self, name: str) -> tuple[float, float]:
        """Means of a metric in the first and in the last epoch."""
        return self.at_first.moments(name).mean, self.at_last.moments(name).mean

    def _add_last(self, row: SampleRow, ranges: Mapping[str, GoodRange]) -> None:
        self.at_last.add(row.values)
        for name, good in ranges.items():
            self.shares.setdefault(name, Share()).add(good.judge(row.values.get(name)))
        self.ids.add(row.sample.id)
        self.sources |= {row.sample.source} - {None}  # type: ignore[arg-type]
        self.slides |= {row.sample.slide} - {None}  # type: ignore[arg-type]


def read_tiles(
    reader: RunReader,
    release: int,
    *,
    epochs: Mapping[str, list[int]],
    ranges: Mapping[str, GoodRange],
) -> dict[str, Tiles]:
    """Gather the tiles of the rows up to `release`.

    Parameters
    ----------
    epochs : mapping of phase to list of int
        Epochs that have rows, ascending; the first and the last are told apart.
    ranges : mapping of tile metric to GoodRange
        Metrics whose tiles are counted in and out.
    """
    tiles = {
        phase: Tiles(first=numbers[0], last=numbers[-1]) if numbers else Tiles()
        for phase, numbers in epochs.items()
    }
    for row in reader.sample_values(upto=release):
        tiles[row.phase].add(row, ranges)
    return tiles
