"""Read-only view of the rows of a run: one by one, in buckets, in stretches, and their tiles."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from analyzer_service.commit.blocks import (
    TileBlock,
    count_rows,
    has_names,
    read_tile_blocks,
    read_tile_names,
)
from analyzer_service.commit.database import open_reader, open_unchanged
from analyzer_service.commit.latest import LatestRow, read_latest
from analyzer_service.commit.packing import NameLists
from analyzer_service.commit.rollup_views import RollupReader
from analyzer_service.commit.stretch_views import StretchReader
from analyzer_service.commit.tile_rows import (
    PAGE,
    RowsOf,
    read_rank_names,
    read_tiles,
    row_filters,
    rows_of,
)
from analyzer_service.commit.views import Row, SampleRow

_WHOLE: Final = frozenset(
    ("epoch", "batch_idx", "global_step", "phase_step", "rank", "ranks", "batch_size", "samples")
)


class RowReader:
    """Rows of a run as they are committed; `RunReader` is this and all else that a run keeps."""

    def __init__(self, folder: Path, *, unchanged: bool = False, one_thread: bool = True) -> None:
        self.folder = folder
        opening = open_unchanged if unchanged else open_reader
        self._connection = opening(folder, one_thread=one_thread)
        self._lists = NameLists(self._connection)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rows(
        self,
        *,
        phase: str | None = None,
        epoch: int | None = None,
        after: int = 0,
        upto: int | None = None,
        of: RowsOf = "run",
    ) -> Iterator[Row]:
        """Rows in release order, superseded ones left out.

        `after` and `upto` are release numbers: rows beyond `after`, up to and with `upto`. Where
        several ranks train, the run's own rows are means over them, one for each step; those of
        the `ranks` have ``rank``, those of the run ``ranks`` instead.
        """
        tests, given = row_filters(phase, epoch, upto)
        query = (
            "SELECT release, ordinal IS NOT NULL, phase, name_list, metrics FROM batches "
            f"WHERE superseded = 0{rows_of(of)} AND release > ?{tests} "
            f"ORDER BY release LIMIT {PAGE}"
        )
        while page := self._connection.execute(query, (after, *given)).fetchall():
            for release, of_run, *found in page:
                yield Row(release, self._values(*found), bool(of_run))
            after = page[-1][0]

    def row(self, release: int) -> Row:
        """Row `release`, superseded or not; raises `KeyError` where there is none."""
        query = "SELECT phase, name_list, metrics FROM batches WHERE release = ?"
        found = self._connection.execute(query, (release,)).fetchone()
        if found is None:
            raise KeyError(f"row {release} is not released")
        return Row(release, self._values(*found))

    def names(self, of: Literal["batches", "tiles"], *, upto: int, prefix: str = "") -> list[str]:
        """Names of every number of the run's rows up to release `upto`, or of their tiles.

        With `prefix` only those that begin so; where nothing does, no row is read.
        """
        if not has_names(self._connection, self._lists, prefix):
            return []
        if of == "tiles":
            names = read_tile_names(self._connection, self._lists, upto)
        else:
            each = (self.stretches(phase, upto=upto).names() for phase in ("train", "val"))
            names = list(dict.fromkeys(name for found in each for name in found))
        return [name for name in names if name.startswith(prefix)]

    def last(self, phase: str, *, upto: int) -> Row | None:
        """The last row of `phase` up to release `upto`; None where there is none."""
        query = (
            "SELECT release, phase, name_list, metrics FROM batches "
            "WHERE phase = ? AND superseded = 0 AND ordinal = ?"
        )
        given = (phase, self.count(phase, upto=upto))
        found = self._connection.execute(query, given).fetchone()
        return found and Row(found[0], self._values(*found[1:]))

    def rank_names(self, *, upto: int) -> list[str]:
        """Names of every number of the ranks' rows up to release `upto`."""
        return read_rank_names(self._connection, self._lists, upto)

    def count(self, phase: str, *, upto: int) -> int:
        """How many rows of the run `phase` has up to release `upto`."""
        return count_rows(self._connection, phase, upto)

    def latest(self, phase: str) -> LatestRow | None:
        """Where `phase` stands, quick however long the run is; None while it has no row."""
        return read_latest(self._connection, phase)

    def history(
        self, *, phase: str, upto: int, names: Sequence[str], points: int = 1000
    ) -> dict[str, NDArray[np.float64]]:
        """Columns over the run's rows of `phase` up to release `upto`, and "global_step" with them.

        With more than `points` rows each value is the mean of the finite ones in a bucket of
        equally many rows, a power of two; the last bucket may hold fewer.
        """
        return self.rollups(phase, names, rows=self.count(phase, upto=upto)).history(points)

    def rollups(self, phase: str, names: Sequence[str], *, rows: int | None = None) -> RollupReader:
        """Numbers of the first `rows` rows of `phase`, of all if None, in buckets of any level."""
        return RollupReader(self._connection, self._lists, phase, names, rows=rows)

    def stretches(self, phase: str, *, upto: int) -> StretchReader:
        """Statistics of the rows of `phase` up to release `upto`, of 1,024 rows each."""
        rows = self.count(phase, upto=upto)
        return StretchReader(self._connection, self._lists, phase, rows=rows)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """All that is read inside is of one commit."""
        self._connection.execute("BEGIN")
        with self._connection:
            yield

    def sample_values(
        self,
        *,
        phase: str | None = None,
        epoch: int | None = None,
        after: int = 0,
        upto: int | None = None,
    ) -> Iterator[SampleRow]:
        """Analyzed tiles of the released rows, in release order, then in their batch's order."""
        return read_tiles(self._connection, self._lists, row_filters(phase, epoch, upto), after)

    def tile_blocks(self, *, upto: int) -> Iterator[TileBlock]:
        """Tiles of the rows up to release `upto` as matrices."""
        return read_tile_blocks(self._connection, self._lists, upto)

    def _values(self, phase: str, number: int, blob: bytes) -> dict[str, Any]:
        values: dict[str, Any] = {"phase": phase}
        for name, value in self._lists.unpack(number, blob).items():
            values[name] = int(value) if name in _WHOLE and value == value else value
        return values
