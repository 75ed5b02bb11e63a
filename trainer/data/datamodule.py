"""The data of a run: opened, split, and handed out in batches."""

import logging
import multiprocessing
import os
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pytorch_lightning as pl
from numpy.typing import NDArray
from torch.utils.data import DataLoader

from shared.errors import ConfigurationError
from shared.messages import Stain
from trainer.data.open import open_data
from trainer.data.source import Collection
from trainer.data.split import Split, anchors, split
from trainer.data.tiles import (
    DealtBatches,
    EpochSampler,
    FixedTiles,
    RandomTiles,
    TileBatch,
    collate,
)
from trainer.data.tissue import guess_stain

log = logging.getLogger(__name__)

DEFAULT_TILE_SIZE: Final = 128
SMALLEST_TILE: Final = 16
LARGEST_TILE: Final = 2048
TILE_STEP: Final = 8
LEAST_VAL_BATCHES: Final = 5
_LEAST_TILES_PER_EPOCH: Final = 640
_LEAST_VAL_TILES: Final = 2 * LEAST_VAL_BATCHES
_MOST_VAL_TILES: Final = 512
_STAIN_TILES: Final = 16


@dataclass(frozen=True)
class DataFacts:
    """What the data turned out to be."""

    tile_size: int
    stain: Stain
    mpp: float | None
    train_tiles: int
    val_tiles: int
    how_split: str
    skipped: int


class TissueTiles(pl.LightningDataModule):
    """Training and validation tiles of one ``--data``.

    Training draws random tiles, at least 640 an epoch and as many as fit side by side.
    Validation always sees the same tiles, at most 512, in at least five batches where there
    are five tiles. Of several ranks each has its share of both.

    Parameters
    ----------
    data : str
        ``ihc`` or a path; see `trainer.data.open.open_data`.
    tile_size : int, optional
        Side in pixels, a multiple of 8 from 16 to 2048. Left out: 128, or the largest that
        the images allow when all are smaller.
    stain : {"he", "ihc", "auto"}
        ``auto`` looks at the colors of up to 16 tiles; see `guess_stain`.
    mpp : float, optional
        Micrometers per pixel where the files do not say.
    batch_size : int
        Tiles in a training batch; validation batches are not larger. May be set until
        training starts.
    num_workers : int
        Most processes that read ahead; never more than CPU cores, and none for data that
        lies in memory. They come from a fork server, so nothing of the training process
        (CUDA, threads, sockets) is forked.
    seed : int
        Of the training tiles.
    ranks : int
        Processes that train together; each has its share of the tiles.

    Raises
    ------
    ConfigurationError
        If the data cannot be used; the message says what to change.
    """

    def __init__(
        self,
        data: str = "ihc",
        *,
        tile_size: int | None = None,
        stain: str = "auto",
        mpp: float | None = None,
        batch_size: int = 8,
        num_workers: int = 4,
        seed: int = 0,
        ranks: int = 1,
    ) -> None:
        super().__init__()
        self.batch_size, self.seed, self.ranks = batch_size, seed, ranks
        self._collection = open_data(data, mpp=mpp)
        self._sources = self._collection.sources
        self._tile_size = _choose_tile_size(self._collection, tile_size)
        self._split = split(self._collection, self._tile_size)
        self._train = self._corners(self._split, "train", self._tile_size)
        self._val = _spread(self._validation_corners(), _MOST_VAL_TILES)
        self._workers = _choose_workers(self._collection, num_workers)
        self.facts = self._find_facts(stain)

    def train_dataloader(self) -> DataLoader[Any]:
        """Random tiles; an epoch's last, partial batch is left out."""
        dataset = RandomTiles(
            self._sources,
            self._split.train,
            self._train,
            tile_size=self._tile_size,
            seed=self.seed,
        )
        least = self.batch_size * self.ranks
        length = max(_LEAST_TILES_PER_EPOCH, len(self._train), least)
        sampler = EpochSampler(length, rank=self._rank, ranks=self.ranks)
        return self._loader(dataset, batch_size=self.batch_size, sampler=sampler, drop_last=True)

    def val_dataloader(self) -> DataLoader[Any]:
        """Fixed tiles, always in the same order."""
        dataset = FixedTiles(self._sources, self._val, self._tile_size)
        if self.ranks == 1:
            return self._loader(dataset, batch_size=self.val_batch_size)
        size = self.val_batch_size
        dealt = DealtBatches(len(self._val), size, rank=self._rank, ranks=self.ranks)
        return self._loader(dataset, batch_sampler=dealt)

    @property
    def val_batch_size(self) -> int:
        """The largest that gives a rank at least five batches, at most `batch_size`."""
        tiles = -(-len(self._val) // self.ranks)
        largest = -(-tiles // (LEAST_VAL_BATCHES - 1)) - 1
        return max(1, min(self.batch_size, largest))

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank

    def _loader(self, dataset: Any, **batches: Any) -> DataLoader[TileBatch]:
        context = _fork_server() if self._workers else None
        return DataLoader(
            dataset,
            **batches,
            num_workers=self._workers,
            persistent_workers=self._workers > 0,
            multiprocessing_context=context,
            collate_fn=collate,
            pin_memory=_has_cuda(),
        )

    def _corners(self, parts: Split, role: str, stride: int) -> NDArray[np.int64]:
        regions = parts.train if role == "train" else parts.val
        found = anchors(self._sources, regions, self._tile_size, stride)
        if not len(found):
            name = "training" if role == "train" else "validation"
            raise ConfigurationError(
                f"no tissue tile of {self._tile_size} pixels is left for {name}: "
                "use a smaller --tile-size or add images"
            )
        return found

    def _validation_corners(self) -> NDArray[np.int64]:
        """Side by side, or overlapping each other where that gives too few."""
        for divisor in (1, 2, 4):
            stride = max(1, self._tile_size // divisor)
            found = self._corners(self._split, "val", stride)
            if len(found) >= _LEAST_VAL_TILES:
                break
        if len(found) < LEAST_VAL_BATCHES:
            log.warning("only %d validation tiles: fewer than five batches an epoch", len(found))
        return found

    def _find_facts(self, stain: str) -> DataFacts:
        facts = DataFacts(
            tile_size=self._tile_size,
            stain=self._find_stain(stain),
            mpp=_common_mpp(self._collection),
            train_tiles=len(self._train),
            val_tiles=len(self._val),
            how_split=self._split.how,
            skipped=len(self._collection.skipped),
        )
        log.info(
            "data: %d training tiles of %d pixels, %d for validation, %s, stain %s",
            *(facts.train_tiles, facts.tile_size, facts.val_tiles, facts.how_split, facts.stain),
        )
        return facts

    def _find_stain(self, stain: str) -> Stain:
        if stain != "auto":
            return _as_stain(stain)
        if self._collection.stain is not None:
            return _as_stain(self._collection.stain)
        size = self._tile_size
        tiles = [
            self._sources[source].read(row, col, size, size)
            for source, row, col in _spread(self._train, _STAIN_TILES).tolist()
        ]
        return guess_stain(tiles)


def check_tile_size(tile_size: int) -> int:
    """Return `tile_size` if the model can take it, else raise `ConfigurationError`."""
    if tile_size % TILE_STEP or not SMALLEST_TILE <= tile_size <= LARGEST_TILE:
        raise ConfigurationError(
            f"tile size {tile_size} must be a multiple of {TILE_STEP} from {SMALLEST_TILE} to "
            f"{LARGEST_TILE}"
        )
    return tile_size


def _choose_tile_size(collection: Collection, wanted: int | None) -> int:
    if wanted is not None:
        return check_tile_size(wanted)
    largest = max(min(source.height, source.width) for source in collection.sources)
    fitting = min(DEFAULT_TILE_SIZE, largest // TILE_STEP * TILE_STEP)
    if fitting < SMALLEST_TILE:
        raise ConfigurationError(
            f"the largest image has a side of {largest} pixels, at least {SMALLEST_TILE} are needed"
        )
    if fitting < DEFAULT_TILE_SIZE:
        log.info("tile size %d: no image is larger", fitting)
    return fitting


def _choose_workers(collection: Collection, most: int) -> int:
    if collection.in_memory:
        return 0
    return min(most, os.cpu_count() or 1)


def _fork_server() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.data.tiles"])
    return context


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _spread(corners: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """At most `most` rows, evenly spaced."""
    if len(corners) <= most:
        return corners
    rows = np.linspace(0, len(corners) - 1, most).round().astype(np.int64)
    spread: NDArray[np.int64] = corners[rows]
    return spread


def _common_mpp(collection: Collection) -> float | None:
    """Pixel size when all images agree on it."""
    sizes = {source.mpp for source in collection.sources}
    return sizes.pop() if len(sizes) == 1 else None


def _as_stain(stain: str) -> Stain:
    if stain == "he":
        return "he"
    if stain == "ihc":
        return "ihc"
    raise ConfigurationError(f"stain {stain!r} must be he, ihc or auto")
