"""Read-only view of a run's folder, for figures, sinks, reports and the page."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.commit.alert_records import count_alerts, read_alert_settings, read_alerts
from analyzer_service.commit.blocks import (
    TileBlock,
    count_rows,
    has_names,
    read_tile_blocks,
    read_tile_names,
)
from analyzer_service.commit.database import open_reader, open_unchanged, run_database
from analyzer_service.commit.frame_books import read_books, read_drops
from analyzer_service.commit.kept_steps import KeptSteps
from analyzer_service.commit.latest import LatestRow, read_latest
from analyzer_service.commit.letting_go import LetGo, read_let_go
from analyzer_service.commit.packing import NameLists
from analyzer_service.commit.probe_maps import read_probe_tiles
from analyzer_service.commit.record_books import read_record_books
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
from analyzer_service.commit.views import (
    AlertRecord,
    DashboardRecord,
    EpochRecord,
    Failure,
    OwnAnalyzer,
    ProbeTile,
    RecordBooks,
    Row,
    RunState,
    SampleRow,
)
from analyzer_service.sinks.frames import read_frame
from shared.messages import BatchFrame, RunStarted, Totals

__all__ = [
    "AlertRecord",
    "DashboardRecord",
    "EpochRecord",
    "Failure",
    "OwnAnalyzer",
    "ProbeTile",
    "RecordBooks",
    "Row",
    "RunReader",
    "RunState",
    "SampleRow",
    "run_database",
]

_WHOLE: Final = frozenset(
    ("epoch", "batch_idx", "global_step", "phase_step", "rank", "ranks", "batch_size", "samples")
)


class RunReader:
    """A run as it is committed; each call sees the latest commit.

    Safe in any process and beside the writer, but not shared between threads. Rows are read
    a page at a time, so a long iteration holds neither memory nor a lock.

    Parameters
    ----------
    folder : Path
        The run's.
    unchanged : bool
        Whether not even SQLite's own files may be made in it, as `open_unchanged` says.
    one_thread : bool
        False: threads may use it one after another, never two at a time.

    Raises
    ------
    ConfigurationError
        If `folder` holds no run.
    """

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

    def started(self, release: int | None = None) -> RunStarted:
        """Fixed facts of the latest incarnation, or of the one that row `release` comes from.

        What is made of a row asks for the row's own facts: a later start, which may be known
        already, must not change it. Raises `KeyError` where there is no such row.
        """
        starts = self.incarnations()
        if release is None:
            return starts[-1]
        query = (
            "SELECT p.incarnation FROM batches b JOIN producers p ON p.id = b.origin "
            "WHERE b.release = ?"
        )
        found = self._connection.execute(query, (release,)).fetchone()
        if found is None:
            raise KeyError(f"row {release} is not released")
        return next(start for start in starts if start.incarnation == found[0])

    def incarnations(self) -> list[RunStarted]:
        """Fixed facts of each start of the run, in order, as its first rank by name said them."""
        query = "SELECT incarnation, started FROM producers ORDER BY incarnation, producer DESC"
        latest = dict(self._connection.execute(query).fetchall())
        return [RunStarted.model_validate_json(text) for text in latest.values()]

    def most_ranks(self) -> int:
        """How many ranks trained at once; where more than one did, the run has rows of its own."""
        return max((start.world_size for start in self.incarnations()), default=1)

    def state(self) -> RunState:
        """Where the run stands; "running" until every producer has ended."""
        values = dict(self._connection.execute("SELECT key, value FROM state"))
        failures = self._connection.execute("SELECT kind, count, last FROM failures ORDER BY kind")
        (released,) = self._connection.execute("SELECT max(release) FROM batches").fetchone()
        return RunState(
            status=values.get("status", "running"),
            ended_at_ns=values.get("ended_at_ns"),
            reason=values.get("reason"),
            released=released or 0,
            failures={kind: Failure(count, last) for kind, count, last in failures},
        )

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

    def dashboards(self, after: int = 0) -> list[DashboardRecord]:
        """Drawn dashboards with an id beyond `after`, in the order in which they were drawn."""
        query = "SELECT id, phase, number, release, file FROM dashboards WHERE id > ? ORDER BY id"
        return [DashboardRecord(*found) for found in self._connection.execute(query, (after,))]

    def epochs(self) -> list[EpochRecord]:
        """Epochs that ended, in order; superseded ones are left out."""
        query = (
            "SELECT epoch, global_step, release, ended_at_ns FROM epochs "
            "WHERE superseded = 0 ORDER BY id"
        )
        return [EpochRecord(*found) for found in self._connection.execute(query)]

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

    def probe_tiles(self) -> tuple[int | None, list[ProbeTile]]:
        """The tiles that attention is tested on, and their validation epoch; None without any.

        It is the last one that ended, or the last one where none of those that are kept did.
        """
        return read_probe_tiles(self._connection)

    def stain_vectors(self) -> tuple[str | None, str | None]:
        """Which stain vectors the run is measured with, and how they were estimated.

        The first is None for a run of an earlier version, the second where they were not
        estimated, or are not yet.
        """
        query = "SELECT key, value FROM state WHERE key IN ('stain_choice', 'stain_vectors')"
        values = dict(self._connection.execute(query))
        found = values.get("stain_vectors")
        return values.get("stain_choice"), None if found is None else str(json.loads(found)[2])

    def own_analyzers(self) -> list[OwnAnalyzer]:
        """The user's own analyses that looked at the run, in order; mostly none, or one."""
        query = "SELECT value FROM state WHERE key = 'own_analyzers'"
        (found,) = self._connection.execute(query).fetchone() or ("[]",)
        return [OwnAnalyzer(**source) for source in json.loads(found)]

    def alerts(
        self, *, upto: int | None = None, after_moment: int = -1, most: int | None = None
    ) -> list[AlertRecord]:
        """Episodes of alerts that fired up to row `upto`, the first `most`, in their order."""
        return read_alerts(self._connection, upto, after_moment, most)

    def count_alerts(self, *, upto: int, active: bool = False) -> dict[str, int]:
        """How many alerts fired up to row `upto`, by name; if `active`, of those that go on."""
        return count_alerts(self._connection, upto, active=active)

    def alert_settings(self) -> AlertSettings:
        """What the run's alerts went by; the defaults where it was never said."""
        return read_alert_settings(self._connection)

    def books(self) -> dict[str, Totals]:
        """Frames by "producer/stream" as of the last committed record, as the analyzer counts."""
        return read_books(self._connection)

    def drops(self) -> dict[str, int]:
        """Dropped frames by reason."""
        total = sum(map(Counter, self.drops_by_stream().values()), Counter[str]())
        return dict(sorted(total.items()))

    def drops_by_stream(self) -> dict[str, dict[str, int]]:
        """Dropped frames by "producer/stream" and reason."""
        return read_drops(self._connection)

    def record_books(self) -> list[RecordBooks]:
        """Books of the critical records of each start of each producer."""
        return read_record_books(self._connection)

    def let_go(self) -> LetGo:
        """What was deleted of the run's folder, as its analyzer was asked to."""
        return read_let_go(self._connection)

    def frame(self, phase: str, number: int) -> BatchFrame | None:
        """Images and maps of a detailed step, by `phase_step`; None where they are not kept."""
        rows = self.kept_steps().rows(phase, number)
        files = [row.file for row in rows if row.file is not None and not row.superseded]
        return read_frame(self.folder, files[0]) if files else None

    def kept_steps(self) -> KeptSteps:
        """The detailed steps whose images and maps are kept."""
        return KeptSteps(self._connection, self._lists)

    def _values(self, phase: str, number: int, blob: bytes) -> dict[str, Any]:
        values: dict[str, Any] = {"phase": phase}
        for name, value in self._lists.unpack(number, blob).items():
            values[name] = int(value) if name in _WHOLE and value == value else value
        return values
