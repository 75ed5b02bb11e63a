"""Which annotations each tile of a run has, by which reader."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.annotations import AnnotationFile, Fault, Region, read_annotations
from analyzer_service.annotations.files import SUFFIXES
from analyzer_service.annotations.reader_folders import NOT_A_READER, owners
from analyzer_service.annotations.tile_names import names_of
from analyzer_service.commit.kept_tiles import KeptTile
from shared.errors import ConfigurationError

CONSENSUS: Final = NOT_A_READER
"""Stands beside the readers: what they hold together, by STAPLE."""
ONLY_READER: Final = "annotation"
"""Who read, where no readers are named."""
TASKS_FILE: Final = "tasks.json"
CLASSES_FILE: Final = "classes.json"
"""The page's, with the colors of classes."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's annotations of one tile.

    Attributes
    ----------
    regions : sequence of Region
        None at all says that there is nothing in the tile.
    bounds : ndarray of shape (len(regions), 4)
        As `Region.bounds` has them.
    left, top : float
        The tile's corner in the coordinates of `regions`.
    of_tile : bool
        Whether they were made on the tile itself, and so should not reach beyond it.
    where : str
        The file.
    """

    regions: Sequence[Region]
    bounds: NDArray[np.float64]
    left: float
    top: float
    of_tile: bool
    where: str


@dataclass(frozen=True)
class Readings:
    """Everything that readers said of a run's tiles.

    Attributes
    ----------
    by_reader : mapping of str to mapping of str to Reading
        By reader, then by the tile's id.
    labels : mapping of str to list of str
        The classes that each reader marked in any tile that can be scored, and those that all were
        asked for and another one marked, sorted.
    files : int
        Files that were looked at.
    faults : list of Fault
        What was wrong with them.
    """

    by_reader: Mapping[str, Mapping[str, Reading]]
    labels: Mapping[str, list[str]]
    files: int
    faults: list[Fault]


def match(
    folder: Path | None,
    tiles: Iterable[KeptTile],
    *,
    readers: Sequence[str] = (),
    classes: Sequence[str] = (),
    asked: Sequence[str] = (),
) -> Readings:
    """Read the annotation files in `folder`, and find the tiles that they are of.

    Parameters
    ----------
    folder : Path or None
        None: nothing is annotated yet.
    tiles : iterable of KeptTile
        Validation tiles are annotated; training tiles only looked up, to name their files.
    readers : sequence of str
        Subfolders, one a reader, or the names of readers whose folders the live page made; none:
        everything in `folder` is one reader's.
    classes : sequence of str
        The ones to be used; none: all.
    asked : sequence of str
        Those that every reader was asked for, besides `classes`.

    Raises
    ------
    ConfigurationError
        If a folder is not there, has no file of annotations, is not below `folder`, or is named as
        the consensus is.
    """
    if CONSENSUS in readers:
        raise ConfigurationError(f"--reader {CONSENSUS}: the readers' consensus is called so")
    named = owners(folder) if folder is not None and readers else {}
    for reader in readers:
        if reader not in named and (reader in ("", "..") or Path(reader).name != reader):
            raise ConfigurationError(f"--reader {reader}: give the name of a subfolder")
    if folder is None:
        return Readings({}, {}, 0, [])
    known = list(tiles)
    matcher = _Matcher(known, set(classes))
    folders = {name: named.get(name, folder / name) for name in readers} or {ONLY_READER: folder}
    for reader, place in folders.items():
        for path in _files_in(place):
            where = _in_words(path.relative_to(folder))
            matcher.add(reader, path, where, _in_words(path.relative_to(place).with_suffix("")))
    return matcher.readings(folders, {*classes, *asked})


class _Matcher:
    """Collects what files say, file by file."""

    def __init__(self, tiles: Sequence[KeptTile], classes: set[str]) -> None:
        self._tiles = {tile.sample.id: tile for tile in tiles if tile.phase == "val"}
        self._names = names_of(tile.sample for tile in self._tiles.values())
        self._training = names_of(tile.sample for tile in tiles if tile.phase == "train")
        self._classes = classes
        self._own: dict[tuple[str, str], Reading] = {}
        self._of_images: dict[tuple[str, str], Reading] = {}
        self.faults: list[Fault] = []
        self.files = 0

    def add(self, reader: str, path: Path, where: str, named: str) -> None:
        """Read one file, if what it is named after is known."""
        self.files += 1
        kind, found = self._names.find(named)
        file = read_annotations(path, name=where)
        if not file.usable:
            self.faults += file.faults
        elif len(found) != 1:
            self._not_found(named, where, found)
        else:
            self.faults += file.faults
            (name,) = found
            place = self._add_tile if kind == "tile" else self._add_image
            place(reader, name, self._wanted(file, where), where)

    def readings(self, readers: Iterable[str], asked: set[str]) -> Readings:
        """What was found; a tile's own file counts, not that of its image."""
        by_reader: dict[str, dict[str, Reading]] = {reader: {} for reader in readers}
        for (reader, tile), reading in (self._of_images | self._own).items():
            by_reader[reader][tile] = reading
        marked = {
            reader: {r.label for reading in found.values() for r in reading.regions}
            for reader, found in by_reader.items()
        }
        by_all = asked & set().union(*marked.values())
        labels = {reader: sorted(own | by_all) for reader, own in marked.items()}
        return Readings(by_reader, labels, self.files, self.faults)

    def _not_found(self, named: str, where: str, found: set[str]) -> None:
        if found:
            self.faults.append(Fault("ambiguous", where, f"fits {', '.join(sorted(found))}"))
            return
        training = self._training.find(named)[1]
        self.faults.append(Fault("training_tile" if training else "unknown_tile", where))

    def _wanted(self, file: AnnotationFile, where: str) -> list[Region]:
        regions = []
        for region in file.regions:
            if not self._classes or region.label in self._classes:
                regions.append(region)
            else:
                self.faults.append(Fault("unknown_class", where, region.label))
        return regions

    def _add_tile(self, reader: str, tile: str, regions: list[Region], where: str) -> None:
        reading = Reading(regions, _bounds(regions), 0.0, 0.0, of_tile=True, where=where)
        self._put(self._own, (reader, tile), reading)

    def _add_image(self, reader: str, image: str, regions: list[Region], where: str) -> None:
        bounds = _bounds(regions)
        unplaced = 0
        for tile, kept in self._tiles.items():
            if kept.sample.source != image:
                continue
            row, col = kept.sample.row, kept.sample.col
            if row is None or col is None:
                unplaced += 1
                continue
            reading = Reading(regions, bounds, float(col), float(row), of_tile=False, where=where)
            self._put(self._of_images, (reader, tile), reading)
        self.faults += [Fault("unplaced", where)] * unplaced

    def _put(
        self, into: dict[tuple[str, str], Reading], key: tuple[str, str], reading: Reading
    ) -> None:
        if key in into and into[key].where != reading.where:
            self.faults.append(Fault("twice", reading.where, f"{key[1]}, as {into[key].where}"))
            return
        into[key] = reading


def _bounds(regions: Sequence[Region]) -> NDArray[np.float64]:
    return np.array([region.bounds for region in regions], dtype=np.float64).reshape(-1, 4)


_NOT_MARKS: Final = (TASKS_FILE, CLASSES_FILE)


def has_annotations(folder: Path) -> bool:
    """Whether a folder holds any file of annotations, be it one that is still to be done."""
    return folder.is_dir() and any(_candidates(folder))


def _files_in(folder: Path) -> list[Path]:
    """Files of annotations in a folder and below, in a fixed order."""
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder: give one of annotation files")
    paths = list(_candidates(folder))
    if not paths:
        raise ConfigurationError(f"no annotations in {folder}: expected {', '.join(SUFFIXES)}")
    return sorted(paths, key=lambda path: path.relative_to(folder).as_posix())


def _candidates(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.suffix.lower() in SUFFIXES and path.name not in _NOT_MARKS and not path.is_dir():
            yield path


def _in_words(path: Path) -> str:
    """A path as it can be written anywhere: a file's name may be no text at all."""
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
