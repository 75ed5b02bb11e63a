"""Read-only view of a run's folder, for figures, sinks, reports and the page."""

import json
from collections import Counter

from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.commit.alert_records import count_alerts, read_alert_settings, read_alerts
from analyzer_service.commit.database import run_database
from analyzer_service.commit.frame_books import read_books, read_drops
from analyzer_service.commit.kept_steps import KeptSteps
from analyzer_service.commit.letting_go import LetGo, read_let_go
from analyzer_service.commit.probe_maps import read_probe_tiles
from analyzer_service.commit.record_books import read_record_books
from analyzer_service.commit.row_reader import RowReader
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


class RunReader(RowReader):
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
