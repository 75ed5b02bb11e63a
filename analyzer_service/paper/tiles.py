"""The tiles of a run that are shown: validation tiles of the last epoch, from worst to best."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.reader import RunReader
from shared.messages import BatchFrame, Sample

MOST_FRAMES: Final = 64


@dataclass(frozen=True)
class ShownTile:
    """A tile with what the model made of it; `ssim` is NaN where it is undefined."""

    sample: Sample
    phase: str
    epoch: int
    image: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]
    attention: dict[str, NDArray[np.float32]]
    ssim: float

    @property
    def error(self) -> NDArray[np.float64]:
        """Absolute error (H, W), mean over colors, as a share of the intensity range."""
        gap = self.image.astype(np.float64) - self.reconstruction
        found: NDArray[np.float64] = np.abs(gap).mean(axis=2) / 255
        return found


def kept_tiles(reader: RunReader, release: int) -> list[ShownTile]:
    """Distinct tiles of rows up to `release` whose images are kept, lowest SSIM first.

    They are of the last epoch that has validation frames; of training where none has. Of a very
    long epoch the last `MOST_FRAMES` frames are read.
    """
    tiles = {
        tile.sample: tile
        for shown in _last_epoch(reader, release)
        for tile in _tiles(reader, *shown)
    }
    return sorted(tiles.values(), key=_rank)


def spread(tiles: Sequence[ShownTile], count: int) -> list[ShownTile]:
    """At most `count` of `tiles`, evenly spread over their order, both ends with them."""
    places = np.linspace(0, len(tiles) - 1, min(count, len(tiles))).round().astype(int)
    return [tiles[place] for place in places]


def _last_epoch(reader: RunReader, release: int) -> list[tuple[BatchFrame, int]]:
    """Frames of the last epoch that has any, with the rows that they belong to."""
    for phase in ("val", "train"):
        drawn = [each for each in reader.dashboards() if each.phase == phase]
        drawn = [each for each in drawn if each.release <= release][-MOST_FRAMES:]
        kept = [(reader.frame(phase, each.number), each.release) for each in drawn]
        frames = [(frame, release) for frame, release in kept if frame is not None]
        last = max((frame.epoch for frame, _ in frames), default=-1)
        if frames:
            return [each for each in frames if each[0].epoch == last]
    return []


def _tiles(reader: RunReader, frame: BatchFrame, release: int) -> Iterator[ShownTile]:
    rows = reader.sample_values(after=release - 1, upto=release)
    ssim = {row.sample: row.values.get("ssim", math.nan) for row in rows}
    for i, sample in enumerate(frame.samples):
        yield ShownTile(
            sample=sample,
            phase=frame.phase,
            epoch=frame.epoch,
            image=frame.input[i],
            reconstruction=frame.reconstruction[i],
            attention={layer: maps[i] for layer, maps in frame.attention.items()},
            ssim=ssim.get(sample, math.nan),
        )


def _rank(tile: ShownTile) -> tuple[bool, float, str]:
    return math.isnan(tile.ssim), tile.ssim, tile.sample.id


def scale_bar_um(width_px: int, mpp: float) -> float:
    """A round length in µm, about a quarter of the tile at most.

    Examples
    --------
    >>> scale_bar_um(256, 0.5)
    20.0
    """
    most = width_px * mpp / 4
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (5.0, 2.0, 1.0) if step * power <= most)
