"""The tiles to annotate, in order, and their pixels and maps."""

import json
import sqlite3
import time
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

import cv2
import numpy as np

from analyzer_service.analyses.tile_choice import choose_tiles
from analyzer_service.annotations.tile_names import tile_name
from analyzer_service.clinical.interface import ANNOTATIONS_FOLDER
from analyzer_service.clinical.matching import TASKS_FILE
from analyzer_service.commit.kept_tiles import KeptTile, kept_tiles
from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.page.annotating import durable
from analyzer_service.page.annotating.durable import Signature
from analyzer_service.page.answers import PageError
from analyzer_service.page.folders import NOT_UNDERSTOOD, inside, not_understood
from analyzer_service.sinks.frames import read_frame
from shared.errors import SidelightError
from shared.messages import BatchFrame

_IDLE_TIMES: Final = 20
"""A list is used for so many times as long as it took to make."""
_GONE: Final = "This tile's image is gone: its frame was removed or is damaged."


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile under the name that its files have."""

    name: str
    kept: KeptTile


@dataclass(frozen=True, slots=True)
class _Listed:
    """Tiles as they were listed, and until when that is good enough."""

    stamp: object
    tiles: dict[str, Tile]
    until_s: float

    def is_new(self) -> bool:
        return time.monotonic() < self.until_s


class Tiles:
    """Tiles of runs; lists are made anew when a run's database has changed.

    Parameters
    ----------
    root : Path
        The output folder; frames beyond it are not read.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lists: dict[Path, _Listed] = {}
        self._shapes: dict[Path, tuple[Signature | None, tuple[int, int] | None]] = {}
        self._lock = Lock()

    def listed(self, run: Path, *, anew: bool = False) -> dict[str, Tile]:
        """Kept tiles by name: validation before training, by the task list, then by a hash.

        Of a run that is going, as it stood a moment ago: a long run's tiles take a while to list.
        `anew` asks for the latest.

        Raises
        ------
        PageError
            409, if the run cannot be read.
        """
        tasks = run / ANNOTATIONS_FOLDER / TASKS_FILE
        stamp = (_stamps(run), durable.signature(tasks))
        with self._lock:
            known = self._lists.get(run)
            if known is not None and (known.stamp == stamp or (known.is_new() and not anew)):
                return known.tiles
            began = time.monotonic()
            try:
                kept = kept_tiles(run, unchanged=True)
            except (SidelightError, sqlite3.Error) as error:
                raise PageError(409, f"This run cannot be read: {error}") from error
            except NOT_UNDERSTOOD as error:
                raise PageError(409, not_understood(error)) from error
            made = {tile.name: tile for tile in _ordered(kept, _asked(tasks))}
            until = time.monotonic() + _IDLE_TIMES * (time.monotonic() - began)
            self._lists[run] = _Listed(stamp, made, until)
        return made

    def find(self, run: Path, name: str) -> Tile:
        """Tile by the name of its files.

        Raises
        ------
        PageError
            404, if the run keeps none of this name.
        """
        tile = self.listed(run).get(name) or self.listed(run, anew=True).get(name)
        if tile is None:
            raise PageError(404, f"This run keeps no tile {name!r}.")
        return tile

    def frame(self, run: Path, tile: Tile) -> BatchFrame:
        """The frame that holds a tile.

        Raises
        ------
        PageError
            404, if it is gone or damaged.
        """
        if not self._is_usable(run / str(tile.kept.file)):
            raise PageError(404, _GONE)
        try:
            frame = read_frame(run, str(tile.kept.file))
        except (ValueError, KeyError):
            frame = None
        if frame is None or tile.kept.position >= len(frame.samples):
            raise PageError(404, _GONE)
        return frame

    def shape(self, run: Path, tile: Tile) -> tuple[int, int] | None:
        """Height and width, by the head of the frame's file alone; None where that is gone."""
        path = run / str(tile.kept.file)
        try:
            found = durable.signature(path)
        except PageError:
            return None
        with self._lock:
            of, known = self._shapes.get(path, (None, None))
        if of != found and self._is_usable(path):  # another run may have taken this one's place
            known = _shape_in(path)
            with self._lock:
                self._shapes[path] = found, known
        return known

    def _is_usable(self, path: Path) -> bool:
        """Whether it is a file (a pipe would keep its reader waiting), and in the output folder."""
        return path.is_file() and inside(path, self._root)

    def input_png(self, run: Path, tile: Tile) -> bytes:
        """The clean input, as PNG."""
        image = self.frame(run, tile).input[tile.kept.position]
        done, encoded = cv2.imencode(".png", image[..., ::-1])
        if not done:
            raise PageError(404, _GONE)
        return encoded.tobytes()


def layers_of(run: RunReader, frame: BatchFrame) -> list[dict[str, Any]]:
    """Layers of a frame's attention, the primary one first, then in the model's order."""
    started = run.started()
    kinds = {layer.name: layer.kind for layer in started.layers}
    order = [started.primary_layer, *kinds]
    names = sorted(frame.attention, key=lambda name: order.index(name) if name in order else 1e9)
    primary = started.primary_layer if started.primary_layer in names else next(iter(names), None)
    return [
        {"name": name, "kind": kinds.get(name, "attention"), "primary": name == primary}
        for name in names
    ]


def _ordered(kept: Iterable[KeptTile], asked: list[str]) -> Iterable[Tile]:
    tiles = list(kept)
    names: set[str] = set()
    for phase in ("val", "train"):
        by_id = {tile.sample.id: tile for tile in tiles if tile.phase == phase}
        rest = choose_tiles(by_id.keys() - set(asked), len(by_id))
        for id_ in (*(id_ for id_ in asked if id_ in by_id), *rest):
            name = tile_name(id_)
            if name not in names:  # a training tile that is a validation tile, too
                names.add(name)
                yield Tile(name, by_id[id_])


def _asked(tasks: Path) -> list[str]:
    """Ids of the task list, in its order."""
    found = durable.read(tasks)
    try:
        content = json.loads(found[0]) if found else {}
        listed = [task["tile"] for task in content.get("tasks", [])]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return list(dict.fromkeys(id_ for id_ in listed if isinstance(id_, str)))


def _stamps(run: Path) -> object:
    database = run_database(run)
    return [
        durable.signature(database.with_name(f"{database.name}{suffix}")) for suffix in ("", "-wal")
    ]


def _shape_in(path: Path) -> tuple[int, int] | None:
    try:
        with zipfile.ZipFile(path) as stored, stored.open("input.npy") as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0
            if version != (1, 0):
                read = np.lib.format.read_array_header_2_0
            shape, _, _ = read(file)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None
    return (int(shape[1]), int(shape[2])) if len(shape) == 4 else None
