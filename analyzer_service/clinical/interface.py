"""Tiles and a task list for pathologists: what they open, and where their marks are found again."""

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analyzer_service.analyses.tile_choice import choose_tiles
from analyzer_service.annotations.files import OWN_MEMBER, TO_DO, read_annotations
from analyzer_service.annotations.geojson import collection_of
from analyzer_service.annotations.tile_names import tile_name
from analyzer_service.clinical.matching import CONSENSUS, TASKS_FILE
from analyzer_service.commit.kept_tiles import KeptTile, kept_tiles, with_frames
from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.replacing import replacing
from shared.errors import ConfigurationError, SinkError
from shared.naming import RUN_PREFIX

ANNOTATIONS_FOLDER: Final = "annotations"
"""Where a run's annotations are, below its folder, unless they are said to be elsewhere."""
DEFAULT_TILES: Final = 200


@dataclass(frozen=True, slots=True)
class Task:
    """One tile to be annotated.

    Attributes
    ----------
    tile : str
        Its id in the run.
    image : str
        PNG of the tile, named below the folder of annotations.
    annotations : tuple of str
        Files that the marks go into, one a reader; QuPath opens each and writes over it.
    """

    tile: str
    image: str
    annotations: tuple[str, ...]


@dataclass(frozen=True)
class AnnotationInterface:
    """What was prepared.

    Attributes
    ----------
    folder : Path
        Everything is in it.
    tasks : tuple of Task
        In the order in which they should be done: a random one, so that the first few are a fair
        sample.
    done : int
        Files that hold annotations already; they are left as they are.
    left_out : tuple of str
        Ids of tiles whose images are gone.
    command : str or None
        Starts the live page, in which the same tiles can be marked; None where the run's folder
        is not called ``auto_analysis_…``, by which the page finds runs.
    page : str or None
        Path of the page to annotate on, below the address that the command prints.
    """

    folder: Path
    tasks: tuple[Task, ...]
    done: int
    left_out: tuple[str, ...]
    command: str | None = None
    page: str | None = None


class TaskList(BaseModel):
    """Of a task list, who reads and what they were asked for."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    readers: Annotated[tuple[str, ...], Field(max_length=256)] = ()
    classes: Annotated[tuple[str, ...], Field(max_length=1024)] = ()


def prepare_annotations(
    run: Path,
    *,
    readers: Sequence[str] = (),
    classes: Sequence[str] = (),
    most_tiles: int = DEFAULT_TILES,
) -> AnnotationInterface:
    """Write tiles, empty annotation files and the task list into ``annotations`` of a run.

    Parameters
    ----------
    run : Path
        The run's folder.
    readers : sequence of str
        Each gets a subfolder of files; none: there is one set of files.
    classes : sequence of str
        Named in the task list, so that all use the same words.
    most_tiles : int
        So many validation tiles at most, chosen by a hash of their ids: by no property of them.

    Raises
    ------
    ConfigurationError
        If `run` is no run, it kept no validation tile, a reader's name is no folder's, or two
        differ in upper and lower case alone.
    SinkError
        If something cannot be written.
    """
    if len({reader.casefold() for reader in readers}) < len(readers):
        raise ConfigurationError("two readers have names that some file systems hold for one")
    for reader in readers:
        if not reader or tile_name(reader) != reader or reader == CONSENSUS:
            allowed = f"letters, digits, '.', '_' and '-', but not {CONSENSUS!r}"
            raise ConfigurationError(f"reader {reader!r}: use {allowed}")
    tiles = {tile.sample.id: tile for tile in kept_tiles(run) if tile.phase == "val"}
    if not tiles:
        raise ConfigurationError(f"{run} kept no validation tile that could be annotated")
    folder = run / ANNOTATIONS_FOLDER
    order = choose_tiles(tiles, most_tiles)
    chosen = [tile for id_, tile in tiles.items() if id_ in set(order)]
    try:
        for place in (folder, *(folder / reader for reader in readers)):
            place.mkdir(parents=True, exist_ok=True)
        written = set(_write_images(run, folder, chosen))
    except OSError as error:
        raise SinkError(f"cannot write into {folder}: {error.strerror or error}") from error
    tasks = tuple(_task(id_, readers) for id_ in order if id_ in written)
    done = sum(_write_skeleton(folder / name, task) for task in tasks for name in task.annotations)
    with RunReader(run) as reader_of_run:
        run_name = reader_of_run.started().run_name
    facts = {"run_name": run_name, "readers": list(readers), "classes": list(classes)}
    listed = [_listed(task, tiles[task.tile]) for task in tasks]
    with replacing(folder / TASKS_FILE) as file:
        json.dump(facts | {"tasks": listed}, file, indent=1, ensure_ascii=False)
    left_out = tuple(id_ for id_ in order if id_ not in written)
    return AnnotationInterface(folder, tasks, done, left_out, *_in_browser(run))


def task_list(folder: Path) -> TaskList:
    """What the task list in a folder says; nothing where there is no list."""
    path = folder / TASKS_FILE
    try:
        if not path.is_file():  # a pipe would keep its reader waiting
            return TaskList()
        return TaskList.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return TaskList()


def _in_browser(run: Path) -> tuple[str | None, str | None]:
    """Command that starts the live page, and the path to annotate a run on it."""
    place = run.resolve()
    if not place.name.startswith(RUN_PREFIX):
        return None, None
    name = quote(place.name.removeprefix(RUN_PREFIX), safe="")
    output_dir = shlex.quote(str(place.parent))
    return f"python -m analyzer_service page --output-dir {output_dir}", f"/runs/{name}/annotate"


def _task(id_: str, readers: Sequence[str]) -> Task:
    name = tile_name(id_)
    folders = [f"{reader}/" for reader in readers] or [""]
    return Task(id_, f"{name}.png", tuple(f"{folder}{name}.geojson" for folder in folders))


def _listed(task: Task, tile: KeptTile) -> dict[str, Any]:
    sample = tile.sample.model_dump(mode="json", exclude={"id"})
    files = {"image": task.image, "annotations": list(task.annotations)}
    return {"tile": task.tile, **files, **sample, "epoch": tile.epoch}


def _write_images(run: Path, folder: Path, tiles: Sequence[KeptTile]) -> Iterator[str]:
    """Ids of the tiles whose images were there to be written."""
    for tile, frame in with_frames(run, tiles):
        if frame is not None:
            path = folder / f"{tile_name(tile.sample.id)}.png"
            _write_png(path, frame.input[tile.position])
            yield tile.sample.id


def _write_png(path: Path, image: NDArray[np.uint8]) -> None:
    done, encoded = cv2.imencode(".png", image[..., ::-1])
    if not done:
        raise SinkError(f"cannot write {path}: the image could not be encoded")
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_bytes(encoded.tobytes())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _write_skeleton(path: Path, task: Task) -> bool:
    """Write a file without annotations; True if there is one that is not ours to write over."""
    if path.exists():
        faults = read_annotations(path).faults
        if not any(fault.kind == "untouched" for fault in faults):
            return True
        if OWN_MEMBER.encode() in path.read_bytes().replace(TO_DO.encode(), b""):
            return False  # opened on the live page: a comment, or that attention was shown
    with replacing(path) as file:
        json.dump(collection_of(()) | {TO_DO: {"tile": task.tile, "image": task.image}}, file)
    return False
