"""Tiles for the model: random crops to train on, fixed ones to validate on."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset, Sampler

from trainer.data.source import RGB, TileSource
from trainer.data.split import Region

_LONGEST_NAME: Final = 1000


class Tile(TypedDict):
    """One tile and where it comes from, as `shared.messages.Sample` describes it.

    `image` is float32 (3, H, W) in [0, 1].
    """

    image: Tensor
    id: str
    source: str
    slide: str | None
    row: int
    col: int
    mpp: float | None


class TileBatch(TypedDict):
    """Tiles of one batch: `image` is float32 (N, 3, H, W) in [0, 1], the rest are columns."""

    image: Tensor
    id: list[str]
    source: list[str]
    slide: list[str | None]
    row: list[int]
    col: list[int]
    mpp: list[float | None]


class FixedTiles(Dataset[Tile]):
    """The same tiles each time, for validation; `corners` is (N, 3): source, row, col."""

    def __init__(
        self, sources: Sequence[TileSource], corners: NDArray[np.int64], tile_size: int
    ) -> None:
        self._sources, self._corners, self._size = sources, corners, tile_size

    def __len__(self) -> int:
        return len(self._corners)

    def __getitem__(self, index: int) -> Tile:
        number, row, col = map(int, self._corners[index])
        source = self._sources[number]
        return _tile(source, source.read(row, col, self._size, self._size), row, col)


class RandomTiles(Dataset[Tile]):
    """Tiles near the anchors of the training regions, shifted, flipped and turned.

    Tile number `index` is the same whenever and wherever it is asked for: the seed and the
    number decide it, so neither workers nor a resume change what is trained on.

    Parameters
    ----------
    sources, regions
        Images and the parts of them that may be read.
    corners : ndarray of shape (N, 3)
        Tissue tiles (source, row, col) within the regions.
    tile_size : int
        Side of a tile; tiles are shifted by up to half of it.
    seed : int
        Of the choice of tiles.
    """

    def __init__(
        self,
        sources: Sequence[TileSource],
        regions: Sequence[Region],
        corners: NDArray[np.int64],
        *,
        tile_size: int,
        seed: int,
    ) -> None:
        self._sources, self._corners = sources, corners
        self._regions = {region.source: region for region in regions}
        self._size, self._seed = tile_size, seed

    def __getitem__(self, index: int) -> Tile:
        rng = np.random.default_rng((self._seed, index))
        number, row, col = map(int, self._corners[rng.integers(len(self._corners))])
        region, source = self._regions[number], self._sources[number]
        row = self._shift(rng, row, region.row, region.height)
        col = self._shift(rng, col, region.col, region.width)
        pixels = source.read(row, col, self._size, self._size)
        return _tile(source, _turned(pixels, int(rng.integers(8))), row, col)

    def _shift(self, rng: np.random.Generator, at: int, start: int, length: int) -> int:
        shifted = at + int(rng.integers(-(self._size // 2), self._size // 2 + 1))
        return min(max(shifted, start), start + length - self._size)


class EpochSampler(Sampler[int]):
    """Numbers that go on from epoch to epoch: each epoch has its own `length` tiles.

    Of several `ranks` each takes every so many-th, all equally many; those left over are left out.
    """

    def __init__(self, length: int, *, rank: int = 0, ranks: int = 1) -> None:
        self._length = length
        self._rank, self._ranks = rank, ranks
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch, after a resume too."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._length // self._ranks

    def __iter__(self) -> Iterator[int]:
        start = self._epoch * self._length
        numbers = range(start, start + len(self) * self._ranks)
        return iter(numbers[self._rank :: self._ranks])


class DealtBatches(Sampler[list[int]]):
    """Each rank's share of `length` tiles, every so many-th, in batches of `batch_size` at most.

    All ranks have equally many batches, as they wait for each other, and no tile comes twice: where
    one rank has a tile more than another, one of its batches is larger by it. (By more than
    `batch_size` only where that is 1.) A rank that would have none shows one of another's.
    """

    def __init__(self, length: int, batch_size: int, *, rank: int, ranks: int) -> None:
        least, most = max(1, length // ranks), -(-length // ranks)
        self._own = range(rank, length, ranks) or [rank % length]
        self._count = min(-(-most // batch_size), least)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[list[int]]:
        own, count = self._own, self._count
        ends = [len(own) * i // count for i in range(count + 1)]
        return (list(own[first:last]) for first, last in pairwise(ends))


def collate(tiles: list[Tile]) -> TileBatch:
    """Batch of tiles of one size."""
    return {
        "image": torch.stack([tile["image"] for tile in tiles]),
        "id": [tile["id"] for tile in tiles],
        "source": [tile["source"] for tile in tiles],
        "slide": [tile["slide"] for tile in tiles],
        "row": [tile["row"] for tile in tiles],
        "col": [tile["col"] for tile in tiles],
        "mpp": [tile["mpp"] for tile in tiles],
    }


def _tile(source: TileSource, pixels: RGB, row: int, col: int) -> Tile:
    """Tile with an id that is the same in each epoch and run."""
    name = source.name[-_LONGEST_NAME:]
    return {
        "image": to_tensor(pixels),
        "id": f"{name}:{row}:{col}",
        "source": name,
        "slide": source.slide,
        "row": row,
        "col": col,
        "mpp": source.mpp,
    }


def to_tensor(pixels: RGB) -> Tensor:
    """Pixels uint8 (H, W, 3) to float32 (3, H, W) in [0, 1]."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), dtype=np.float32)
    return torch.from_numpy(planes).div_(255)


def _turned(pixels: RGB, orientation: int) -> RGB:
    """One of the eight orientations of a square tile."""
    turned = np.rot90(pixels, orientation % 4)
    return turned[:, ::-1] if orientation >= 4 else turned
