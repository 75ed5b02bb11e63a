"""What the report needs of the analyzed tiles, gathered in one pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from analyzer_service.commit.blocks import TileBlock
from analyzer_service.commit.reader import RunReader
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

    def extend(self, block: TileBlock, ranges: Mapping[str, GoodRange]) -> None:
        """Take tiles of one epoch."""
        names, values = block.rows.names, block.rows.values
        self.whole.extend(names, values)
        for sample in block.samples:
            self.scale.add(sample.get("mpp"))
        if block.epoch == self.first:
            self.at_first.extend(names, values)
        if block.epoch == self.last:
            self._add_last(block, ranges)

    def over_run(self, name: str) -> Moments:
        """Statistics of a metric over all tiles."""
        return self.whole.moments(name)

    def evolution(self, name: str) -> tuple[float, float]:
        """Means of a metric in the first and in the last epoch."""
        return self.at_first.moments(name).mean, self.at_last.moments(name).mean

    def _add_last(self, block: TileBlock, ranges: Mapping[str, GoodRange]) -> None:
        self.at_last.extend(block.rows.names, block.rows.values)
        for name, good in ranges.items():
            share = self.shares.setdefault(name, Share())
            for value in block.rows.column(name).tolist():
                share.add(good.judge(value))
        self.ids.update(sample["id"] for sample in block.samples)
        self.sources |= {source for sample in block.samples if (source := sample.get("source"))}
        self.slides |= {slide for sample in block.samples if (slide := sample.get("slide"))}


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
    for block in reader.tile_blocks(upto=release):
        tiles[block.rows.phase].extend(block, ranges)
    return tiles
