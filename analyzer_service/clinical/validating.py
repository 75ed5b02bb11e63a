"""A run's attention against what readers marked in its tiles."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analyzer_service.analyses.masks import Mask
from analyzer_service.annotations import Fault, rasterize
from analyzer_service.annotations.regions import Polygon
from analyzer_service.clinical import summarizing
from analyzer_service.clinical.matching import CONSENSUS, Reading, Readings, match
from analyzer_service.clinical.scoring import TOLERANCE_PX, Masks, agreements, consensus, pairs
from analyzer_service.clinical.summarizing import OwnOrOthers, PairKey, ScoredTile, Summary
from analyzer_service.commit.kept_tiles import KeptTile, kept_tiles, with_frames
from analyzer_service.commit.reader import RunReader
from shared.errors import ConfigurationError
from shared.messages import BatchFrame, RunStarted


@dataclass(frozen=True)
class Validation:
    """Everything that the report says.

    Attributes
    ----------
    started : RunStarted
        The run.
    kept : int
        Validation tiles that the run kept.
    readings : Readings
        What readers said.
    faults : list of Fault
        What was wrong and was got around, with the files and with the tiles.
    tiles : list of ScoredTile
        In the order of the run.
    attention, without_annotation : mapping of PairKey to Summary
        Over tiles where the reader marked the class, and where not.
    slides : mapping of (PairKey, str) to Summary
        By slide.
    agreement : mapping of (str, tuple of str) to Summary
        By class and pair of readers.
    own_or_others : list of OwnOrOthers
    tolerance_px : float
        By how much outlines of two readers may differ and count as one.
    """

    started: RunStarted
    kept: int
    readings: Readings
    faults: list[Fault]
    tiles: list[ScoredTile]
    attention: Mapping[PairKey, Summary]
    without_annotation: Mapping[PairKey, Summary]
    slides: Mapping[tuple[PairKey, str], Summary]
    agreement: Mapping[tuple[str, tuple[str, ...]], Summary]
    own_or_others: list[OwnOrOthers]
    tolerance_px: float


def validate_run(
    run: Path,
    annotations: Path | None,
    *,
    readers: Sequence[str] = (),
    classes: Sequence[str] = (),
    asked: Sequence[str] = (),
    tolerance_px: float = TOLERANCE_PX,
) -> Validation:
    """Score the attention of a run's kept validation tiles against annotations of them.

    Parameters
    ----------
    run : Path
        The run's folder; it may still be going.
    annotations : Path or None
        Folder of GeoJSON and Web Annotation files, see `annotations.tile_names` for their names.
        None: nothing is annotated yet.
    readers : sequence of str
        Names of subfolders, one for each reader; none: all files are one reader's.
    classes : sequence of str
        Those to be scored; none: all that are marked.
    asked : sequence of str
        Those that all readers were asked for, besides `classes`: if one of them marked such a class
        anywhere, the others' tiles without it say that there is none.
    tolerance_px : float
        By how much outlines of two readers may differ and count as one, in pixels of the tile.

    Raises
    ------
    ConfigurationError
        If the tolerance is no number from 0 on, `run` is no run, or there are no annotations in the
        folder.
    """
    if not 0 <= tolerance_px < math.inf:
        raise ConfigurationError(f"--tolerance {tolerance_px}: give pixels, 0 or more")
    with RunReader(run) as reader:
        started = reader.started()
    tiles = kept_tiles(run)
    readings = match(annotations, tiles, readers=readers, classes=classes, asked=asked)
    faults = list(readings.faults)
    kept = [tile for tile in tiles if tile.phase == "val"]
    scored = list(_scored(run, kept, readings, faults, tolerance_px))
    return Validation(
        started=started,
        kept=len(kept),
        readings=readings,
        faults=faults,
        tiles=scored,
        attention=summarizing.attention(scored, annotated=True),
        without_annotation=summarizing.attention(scored, annotated=False),
        slides=summarizing.by_slide(scored),
        agreement=summarizing.agreement(scored),
        own_or_others=summarizing.own_or_others(scored),
        tolerance_px=tolerance_px,
    )


def _scored(
    run: Path,
    tiles: Sequence[KeptTile],
    readings: Readings,
    faults: list[Fault],
    tolerance_px: float,
) -> Iterator[ScoredTile]:
    """Each tile that anyone annotated."""
    read = {tile for by_tile in readings.by_reader.values() for tile in by_tile}
    wanted = [tile for tile in tiles if tile.sample.id in read]
    for tile, frame in with_frames(run, wanted):
        if frame is None:
            faults.append(Fault("unread_frame", tile.sample.id, tile.file))
        else:
            height, width = frame.input.shape[1:3]
            given = dict(given_of(tile, readings, (height, width), faults))
            if given:
                yield _score(tile, frame, given, readings.labels, tolerance_px)


def _score(
    tile: KeptTile,
    frame: BatchFrame,
    given: Mapping[str, Reading],
    labels: Mapping[str, Sequence[str]],
    tolerance_px: float,
) -> ScoredTile:
    height, width = frame.input.shape[1:3]
    masks = {
        reader: masks_of(reading, labels[reader], (height, width))
        for reader, reading in given.items()
    }
    gates = {layer: maps[tile.position] for layer, maps in frame.attention.items()}
    against: Masks = {**masks, CONSENSUS: consensus(masks)}
    return ScoredTile(
        sample=tile.sample,
        epoch=tile.epoch,
        global_step=tile.global_step,
        shape=(height, width),
        pairs=tuple(pairs(gates, against)),
        agreements=tuple(agreements(masks, tolerance_px=tolerance_px)),
    )


def masks_of(reading: Reading, labels: Sequence[str], shape: tuple[int, int]) -> dict[str, Mask]:
    """What is marked as each class, in pixels of the tile."""
    corner = (reading.left, reading.top)
    regions = [reading.regions[number] for number in _near(reading, shape)]
    return {
        label: rasterize(
            (
                Polygon(tuple(ring - corner for ring in polygon.rings))
                for region in regions
                if region.label == label
                for polygon in region.polygons
            ),
            shape,
        )
        for label in labels
    }


def _near(reading: Reading, shape: tuple[int, int]) -> list[int]:
    """Numbers of the annotations that may reach into the tile."""
    height, width = shape
    corner = np.array((reading.left, reading.top) * 2)
    left, top, right, bottom = reading.bounds.T - corner[:, None]
    near = (right > 0) & (bottom > 0) & (left < width) & (top < height)
    return np.flatnonzero(near).tolist()


def given_of(
    tile: KeptTile, readings: Readings, shape: tuple[int, int], faults: list[Fault]
) -> Iterator[tuple[str, Reading]]:
    """What each reader said of a tile; a file whose marks all miss it does not say it is empty."""
    for reader, by_tile in readings.by_reader.items():
        reading = by_tile.get(tile.sample.id)
        if reading is None:
            continue
        beyond = list(_outside(reading, shape))
        if beyond and not _near(reading, shape):
            what = f"{beyond[0].what}: coordinates of a whole image?"
            faults.append(Fault("elsewhere", reading.where, what))
        else:
            faults += beyond
            yield reader, reading


def _outside(reading: Reading, shape: tuple[int, int]) -> Iterator[Fault]:
    """Annotations made on the tile itself that reach beyond it."""
    if not reading.of_tile:
        return
    height, width = shape
    left, top, right, bottom = reading.bounds.T
    beyond = (left < 0) | (top < 0) | (right > width) | (bottom > height)
    for number in np.flatnonzero(beyond).tolist():
        x, y, to_x, to_y = reading.bounds[number]
        reach = f"x {x:g} to {to_x:g}, y {y:g} to {to_y:g} in {width} x {height}"
        yield Fault("outside", reading.where, f"{reading.regions[number].label}: {reach}")
