"""Which pixels train and which validate: never the same ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError
from trainer.data.source import Collection, TileSource
from trainer.data.tissue import LEAST_TISSUE

LEAST_GROUPS: Final = 5
_VALIDATION_SHARE: Final = 0.2
_REGION_SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of one source, in its pixels."""

    source: int
    row: int
    col: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Split:
    """Disjoint regions; `how` says in words what was held out."""

    train: tuple[Region, ...]
    val: tuple[Region, ...]
    how: str


def split(collection: Collection, tile_size: int) -> Split:
    """Hold out slides, else files, else a part of each image.

    What the data itself sets aside is taken. Otherwise, with five slides (subfolders) or
    more a fifth of them is held out, with five files or more a fifth of the files; the choice
    hangs on their names only. With fewer, each image that is large enough is cut in two along
    its longer side, so that about a quarter of its tissue validates. Images without a tissue
    tile are left out.

    Raises
    ------
    ConfigurationError
        If no image holds a tissue tile, or nothing is left to validate on.
    """
    sources = collection.sources
    usable = [i for i, source in enumerate(sources) if _has_tile(source, tile_size)]
    if not usable:
        raise ConfigurationError(_nothing_usable(sources, tile_size))
    if collection.held_out is not None:
        return _by_source(sources, usable, collection.held_out, "the data's own validation images")
    slides = {sources[i].slide for i in usable}
    if None not in slides and len(slides) >= LEAST_GROUPS:
        names = {i: str(sources[i].slide) for i in usable}
        return _by_name(sources, names, "slides")
    if len(usable) >= LEAST_GROUPS:
        return _by_name(sources, {i: sources[i].name for i in usable}, "files")
    return _by_region(sources, usable, tile_size)


def anchors(
    sources: Sequence[TileSource], regions: Sequence[Region], tile_size: int, stride: int
) -> NDArray[np.int64]:
    """Top left corners of tissue tiles on a grid, as (source, row, col), shape (N, 3).

    The grid reaches every region's edges; its steps are at most `stride` pixels.
    """
    found = [
        (region.source, region.row + row, region.col + col)
        for region in regions
        for row in _positions(region.height, tile_size, stride)
        for col in _positions(region.width, tile_size, stride)
        if _is_tissue(sources[region.source], region.row + row, region.col + col, tile_size)
    ]
    return np.asarray(found, dtype=np.int64).reshape(-1, 3)


def _positions(length: int, tile_size: int, stride: int) -> list[int]:
    room = length - tile_size
    if room < 0:
        return []
    count = -(-room // stride) + 1
    return [int(position) for position in np.linspace(0, room, count).round()]


def _is_tissue(source: TileSource, row: int, col: int, tile_size: int) -> bool:
    tissue = source.tissue
    return tissue is None or tissue.of(row, col, tile_size, tile_size) >= LEAST_TISSUE


def _has_tile(source: TileSource, tile_size: int) -> bool:
    return any(
        _is_tissue(source, row, col, tile_size)
        for row in _positions(source.height, tile_size, tile_size)
        for col in _positions(source.width, tile_size, tile_size)
    )


def _whole(sources: Sequence[TileSource], index: int) -> Region:
    return Region(index, 0, 0, sources[index].height, sources[index].width)


def _by_source(
    sources: Sequence[TileSource], usable: list[int], held_out: frozenset[int], what: str
) -> Split:
    train = tuple(_whole(sources, i) for i in usable if i not in held_out)
    val = tuple(_whole(sources, i) for i in usable if i in held_out)
    if not train or not val:
        raise ConfigurationError(f"no tissue tile is left to train on besides {what}")
    return Split(train, val, f"held out: {what} ({len(val)} of {len(usable)} images)")


def _by_name(sources: Sequence[TileSource], names: dict[int, str], kind: str) -> Split:
    groups = sorted(set(names.values()), key=lambda name: sha256(name.encode()).digest())
    chosen = set(groups[: max(1, round(_VALIDATION_SHARE * len(groups)))])
    held_out = frozenset(i for i, name in names.items() if name in chosen)
    listed = ", ".join(sorted(chosen)[:5]) + (", …" if len(chosen) > 5 else "")
    what = f"{len(chosen)} of {len(groups)} {kind}: {listed}"
    return _by_source(sources, list(names), held_out, what)


def _by_region(sources: Sequence[TileSource], usable: list[int], tile_size: int) -> Split:
    pairs = {i: _cut(sources, i, tile_size) for i in usable}
    cut = {i: pair for i, pair in pairs.items() if pair is not None}
    if not cut and len(usable) > 1:
        return _by_name(sources, {i: sources[i].name for i in usable}, "files")
    if not cut:
        source = sources[usable[0]]
        raise ConfigurationError(
            f"{source.name} ({source.height}x{source.width}) is too small to hold both training "
            f"and validation tiles of {tile_size}: use a smaller --tile-size or add images"
        )
    train = tuple(cut[i][0] if i in cut else _whole(sources, i) for i in usable)
    val = tuple(pair[1] for pair in cut.values())
    return Split(train, val, f"held out: a part of {_count(len(cut), 'image')}")


def _cut(sources: Sequence[TileSource], index: int, tile_size: int) -> tuple[Region, Region] | None:
    """Training and validation part of one image, or None when it is too small."""
    whole = _whole(sources, index)
    vertical = whole.width < whole.height
    length = whole.height if vertical else whole.width
    if length < 2 * tile_size:
        return None
    # Half a tile more than one, where there is room, gives validation tiles side by side.
    least = tile_size * 3 // 2 if length >= 4 * tile_size else tile_size
    at = min(max(_tissue_quantile(sources[index], vertical, length), tile_size), length - least)
    if vertical:
        return Region(index, 0, 0, at, whole.width), Region(index, at, 0, length - at, whole.width)
    return Region(index, 0, 0, whole.height, at), Region(index, 0, at, whole.height, length - at)


def _tissue_quantile(source: TileSource, vertical: bool, length: int) -> int:
    """Position along an axis before which all but a quarter of the tissue lies."""
    if source.tissue is None or not source.tissue.share.any():
        return round((1 - _REGION_SHARE) * length)
    profile = np.cumsum(source.tissue.share.sum(axis=1 if vertical else 0))
    cell = int(np.searchsorted(profile, (1 - _REGION_SHARE) * profile[-1]))
    return round((cell + 1) * source.tissue.cell)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _nothing_usable(sources: Sequence[TileSource], tile_size: int) -> str:
    largest = max(sources, key=lambda source: min(source.height, source.width), default=None)
    if largest is not None and min(largest.height, largest.width) < tile_size:
        return (
            f"every image is smaller than a tile of {tile_size}, the largest is "
            f"{largest.height}x{largest.width}: use a smaller --tile-size"
        )
    return f"no tile of {tile_size} pixels holds tissue: all images are nearly empty"
