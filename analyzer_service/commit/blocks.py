"""Tiles as matrices: what a report sums up over a long run, read many at a time."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.packing import NameLists, Names, unpack
from shared.messages import Phase

_FEW: Final = 0.125
_FRAMES: Final = 512

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of one phase, in release order: `values` (N, len(names)), NaN where a row has none."""

    phase: Phase
    names: Names
    values: Floats

    def __len__(self) -> int:
        return len(self.values)

    def column(self, name: str) -> Floats:
        """Values of a name; NaN where there is none of it."""
        return self.columns([name])[:, 0]

    def columns(self, names: Sequence[str]) -> Floats:
        """Values (N, len(names)) of `names`; NaN where there is none of one."""
        places = _places(self.names)
        known = [(i, places[name]) for i, name in enumerate(names) if name in places]
        found = np.full((len(self.values), len(names)), np.nan)
        found[:, [i for i, _ in known]] = self.values[:, [place for _, place in known]]
        return found


@dataclass(frozen=True, slots=True)
class TileBlock:
    """Tiles of one epoch, in release order; `samples`, as JSON, says where each comes from."""

    epoch: int
    rows: Block
    samples: list[dict[str, Any]]


def count_rows(connection: sqlite3.Connection, phase: str, upto: int) -> int:
    """How many rows of the run `phase` has up to release `upto`, superseded ones left out.

    They are numbered in the order of their releases, so a few of them tell.
    """
    query = "SELECT max(ordinal) FROM batches WHERE phase = ? AND superseded = 0"
    least, most = 0, connection.execute(query, (phase,)).fetchone()[0] or 0
    query = "SELECT release FROM batches WHERE phase = ? AND superseded = 0 AND ordinal = ?"
    asked = most  # mostly it is all of them
    while least < most:
        found = connection.execute(query, (phase, asked)).fetchone()
        if found is not None and found[0] <= upto:
            least = asked
        else:
            most = asked - 1
        asked = (least + most + 1) // 2
    return int(least)


def read_tile_names(connection: sqlite3.Connection, lists: NameLists, upto: int) -> list[str]:
    """Names of every number of the tiles of the rows up to release `upto`."""
    query = (
        "SELECT DISTINCT s.name_list FROM batches b JOIN samples s ON s.frame = b.frame "
        "WHERE b.superseded = 0 AND b.release <= ?"
    )
    found = [lists.names(number) for (number,) in connection.execute(query, (upto,))]
    return list(dict.fromkeys(name for names in found for name in names))


def has_names(connection: sqlite3.Connection, lists: NameLists, prefix: str) -> bool:
    """Whether any number of the run, of a row or a tile, has a name that begins with `prefix`."""
    numbers = connection.execute("SELECT id FROM metric_names").fetchall()
    names = (name for (number,) in numbers for name in lists.names(number))
    return any(name.startswith(prefix) for name in names)


def read_tile_blocks(
    connection: sqlite3.Connection, lists: NameLists, upto: int
) -> Iterator[TileBlock]:
    """Analyzed tiles of the rows up to release `upto`: of each 512 rows a block for each epoch."""
    query = (
        "SELECT b.phase, b.epoch, s.name_list, s.metrics, s.sample FROM batches b "
        "JOIN samples s ON s.frame = b.frame WHERE b.superseded = 0 AND b.release > ? "
        "AND b.release <= ? ORDER BY b.release, s.position"
    )
    after = 0
    for until in _page_ends(connection, upto):
        page = connection.execute(query, (after, until)).fetchall()
        for (phase, epoch), tiles in _grouped(page, key=lambda tile: tile[:2]).items():
            rows = _block(lists, phase, [tile[2:4] for tile in tiles])
            yield TileBlock(epoch, rows, [json.loads(tile[4]) for tile in tiles])
        after = until


def _page_ends(connection: sqlite3.Connection, upto: int) -> Iterator[int]:
    """Releases at which pages of `_FRAMES` rows with frames end."""
    (rows,) = connection.execute("SELECT max(release) FROM batches").fetchone()
    (frames,) = connection.execute("SELECT count(*) FROM frames").fetchone()
    if frames < _FEW * (rows or 0):
        # Without the two words of order SQLite would read all of the many rows.
        query = (
            "SELECT b.release FROM frames f CROSS JOIN batches b ON b.phase = f.phase AND "
            "b.phase_step = f.phase_step AND b.frame = f.id AND b.superseded = 0 "
            "WHERE b.release <= ? ORDER BY b.release"
        )
        found = [release for (release,) in connection.execute(query, (upto,))]
        yield from found[_FRAMES - 1 :: _FRAMES]
        if len(found) % _FRAMES:
            yield found[-1]
        return
    query = (
        "SELECT max(release) FROM (SELECT release FROM batches WHERE superseded = 0 AND "
        f"frame IS NOT NULL AND release > ? AND release <= ? ORDER BY release LIMIT {_FRAMES})"
    )
    after = 0
    while (until := connection.execute(query, (after, upto)).fetchone()[0]) is not None:
        yield until
        after = until


def _grouped(page: list[Any], key: Callable[[Any], Any]) -> dict[Any, list[Any]]:
    """What has the same key, in the order in which it came; keys in that of their first."""
    groups: dict[Any, list[Any]] = {}
    for each in page:
        groups.setdefault(key(each), []).append(each)
    return groups


def _block(lists: NameLists, phase: Phase, rows: list[tuple[int, bytes]]) -> Block:
    numbers = list(dict.fromkeys(number for number, _ in rows))
    if len(numbers) == 1:
        return Block(phase, lists.names(numbers[0]), _matrix([blob for _, blob in rows]))
    names = tuple(dict.fromkeys(name for number in numbers for name in lists.names(number)))
    places = {name: place for place, name in enumerate(names)}
    values = np.full((len(rows), len(names)), np.nan)
    for number in numbers:
        at = [i for i, row in enumerate(rows) if row[0] == number]
        to = [places[name] for name in lists.names(number)]
        values[np.ix_(at, to)] = _matrix([rows[i][1] for i in at])
    return Block(phase, names, values)


@lru_cache(maxsize=64)
def _places(names: Names) -> dict[str, int]:
    return {name: place for place, name in enumerate(names)}


def _matrix(blobs: Sequence[bytes]) -> Floats:
    return unpack(b"".join(blobs)).reshape(len(blobs), -1)
