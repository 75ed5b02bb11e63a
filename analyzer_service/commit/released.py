"""What is derived from the facts, in release order: batches, epochs and the files they make due."""

from collections.abc import Mapping
from typing import Final

from analyzer_service.alerts.settings import DEFAULT, AlertSettings
from analyzer_service.commit import rollups, stretches
from analyzer_service.commit.alerts import RunAlerts
from analyzer_service.commit.own_results import FAILED, OFF, OwnResults
from analyzer_service.commit.probe_tiles import ProbeTiles
from analyzer_service.commit.rows import build_row
from analyzer_service.commit.run_rows import RUN, OpenStep, Source
from analyzer_service.commit.store import FoundFrame, Store
from analyzer_service.commit.temporal import TemporalConsistency
from analyzer_service.sinks.frames import is_detailed
from shared.messages import BatchMetrics, EpochEnded, Phase

_DERIVED: Final = (
    *("batches", "recent_frames", "probe_tiles", "rollups", "stretches", "epochs", "jobs"),
    *("dashboards", "streams", "drop_counts"),
)
_COLUMNS: Final = (
    *("epoch", "batch_idx", "global_step", "phase_step", "rank", "timestamp", "batch_size"),
    *("loss", "mse", "ssim", "psnr", "training_time_ms", "inference_time_ms", "data_time_ms"),
    *("memory_mb", "samples"),
)
_INSERT: Final = (
    "INSERT INTO batches (release, origin, cseq, frame, phase, ordinal, "
    f"{', '.join(_COLUMNS)}, name_list, metrics) VALUES "
    f"({', '.join('?' * (6 + len(_COLUMNS) + 2))})"
)


class Released:
    """Writes released rows; every method runs inside a transaction of the store.

    After a transaction that failed, `load` puts what is held here right.
    """

    def __init__(self, store: Store, alerts: AlertSettings = DEFAULT) -> None:
        self.alerts = RunAlerts(store, alerts)
        self.own = OwnResults(store)
        self._store = store
        self._connection = store.connection
        self.release = 0
        self._ordinals: dict[str, int] = {}
        self._temporal = TemporalConsistency(store)
        self._probes = ProbeTiles(store)
        self._step = OpenStep()
        self.load()

    def load(self) -> None:
        """Find the last release and the rows of each phase in the database."""
        (last,) = self._connection.execute("SELECT max(release) FROM batches").fetchone()
        query = (
            "SELECT phase, max(ordinal) FROM batches WHERE superseded = 0 "
            "AND ordinal IS NOT NULL GROUP BY phase"
        )
        self.release, self._ordinals = last or 0, dict(self._connection.execute(query).fetchall())
        self._step.load(self._connection, self._store.lists)
        self._temporal.forget()
        self.own.load()
        self.alerts.load()

    def add_batch(self, source: Source, batch: BatchMetrics, frame: FoundFrame | None) -> None:
        """Release the row of `batch`, and what it makes due."""
        several = source.started.world_size > 1
        if self._step.ends_before(source.started.incarnation, batch):
            self.end_step()
        self.release += 1
        part = None if frame is None else self._temporal.fill(batch, frame, self.release)
        part = None if frame is None else self.own.fill(batch, frame, part)
        row = build_row(batch, part, source.started)
        framed = None if frame is None else frame.id
        at = (source.origin, source.cseq, framed, batch.phase)
        self._insert(at, row, of_run=not several)
        if frame is not None and batch.phase == "val":
            self._probes.keep(batch, frame.id)
        self.alerts.row(self.release, source.origin, source.started, batch, row)
        detailed = is_detailed(
            batch.phase,
            batch.phase_step,
            batch.batch_idx,
            analysis_freq=source.started.analysis_freq,
        )
        if detailed and batch.rank == 0:
            self.due("dashboard", batch.phase_step, batch.global_step, phase=batch.phase)
        if several and self._step.add(source, batch, row):
            self.end_step()

    def end_step(self) -> None:
        """Release the run's own row of the ranks' rows at a step, if one is open."""
        row = self._step.close()
        if row is not None:
            self.release += 1
            at = (row.origin, row.cseq, None, row.phase)
            self._insert(at, row.values, of_run=True)

    def add_epoch(self, message: EpochEnded) -> None:
        """Note the end of an epoch; its file is due with the first rank's word."""
        if message.rank != 0:
            return
        self.end_step()
        self._connection.execute(
            "INSERT INTO epochs (epoch, global_step, release, ended_at_ns) VALUES (?, ?, ?, ?)",
            (message.epoch, message.global_step, self.release, message.captured_at_ns),
        )
        self.alerts.epoch_ended(message.epoch, self.release)
        self.due("epoch", message.epoch, message.global_step)

    def due(self, kind: str, number: int, global_step: int, *, phase: str = "") -> None:
        """Make a file due with the rows up to now; one that is due already is due anew."""
        self._connection.execute(
            "INSERT OR REPLACE INTO jobs (kind, phase, number, global_step, release) "
            "VALUES (?, ?, ?, ?, ?)",
            (kind, phase, number, global_step, self.release),
        )

    def supersede(self, incarnation: int, step: int) -> list[str]:
        """Take back rows, epochs and files of earlier incarnations beyond `step`.

        Returns the paths, inside the run's folder, of files to delete once this is committed.
        """
        self.end_step()
        files = self._files_beyond(incarnation, step)
        first = self._first_beyond(incarnation, step)
        self._connection.execute(
            "UPDATE frames SET file = NULL, file_bytes = 0 WHERE id IN (SELECT b.frame FROM "
            "batches b JOIN producers p ON p.id = b.origin WHERE p.incarnation < ? "
            "AND b.global_step > ? AND b.superseded = 0)",
            (incarnation, step),
        )
        self._connection.execute(
            "UPDATE batches SET superseded = 1 WHERE global_step > ? AND superseded = 0 AND "
            "origin IN (SELECT id FROM producers WHERE incarnation < ?)",
            (step, incarnation),
        )
        self._connection.execute(
            "DELETE FROM dashboards WHERE (phase, number) IN (SELECT phase, number FROM jobs "
            "WHERE kind = 'dashboard' AND global_step > ?)",
            (step,),
        )
        self._connection.execute("DELETE FROM jobs WHERE global_step > ?", (step,))
        self._connection.execute("UPDATE epochs SET superseded = 1 WHERE global_step > ?", (step,))
        self._temporal.leave_superseded()
        self._probes.leave_superseded()
        for phase in list(self._ordinals):
            self._renumber(phase)
        if first is not None:
            self.own.take_back()
            self.alerts.take_back(first)
        return files

    def clear(self) -> None:
        """Delete everything derived, for a rebuild from the facts."""
        for table in _DERIVED:
            self._connection.execute(f"DELETE FROM {table}")
        self.alerts.clear()
        self.own.clear()
        self._connection.execute(
            "UPDATE producers SET next_release = 1, status = NULL, reason = NULL, "
            "ended_at_ns = NULL"
        )
        kinds = ("unexplained_frames", "missing_records", "books_differ", FAILED, OFF)
        marks = ", ".join("?" * len(kinds))
        self._connection.execute(f"DELETE FROM failures WHERE kind IN ({marks})", kinds)
        self._store.put(status=None, reason=None, ended_at_ns=None, rebuild_due=None)
        self.load()

    def _insert(
        self, at: tuple[int, int, int | None, Phase], row: Mapping[str, float], *, of_run: bool
    ) -> None:
        """Write row `release`; those of the run are counted, and summed."""
        phase, ordinal = at[-1], None
        if of_run:
            ordinal = self._ordinals[phase] = self._ordinals.get(phase, 0) + 1
        lists = self._store.lists
        columns = (row.get(name, RUN) for name in _COLUMNS)  # it lacks a rank alone
        self._connection.execute(_INSERT, (self.release, *at, ordinal, *columns, *lists.pack(row)))
        if ordinal is not None:
            rollups.add_row(self._connection, lists, phase, ordinal)
            stretches.add_row(self._connection, lists, phase, ordinal)

    def _first_beyond(self, incarnation: int, step: int) -> int | None:
        """The first row that is to be superseded; None where there is none."""
        query = (
            "SELECT min(release) FROM batches WHERE global_step > ? AND superseded = 0 AND "
            "origin IN (SELECT id FROM producers WHERE incarnation < ?)"
        )
        found: int | None = self._connection.execute(query, (step, incarnation)).fetchone()[0]
        return found

    def _files_beyond(self, incarnation: int, step: int) -> list[str]:
        written = self._connection.execute(
            "SELECT file FROM jobs WHERE global_step > ? AND file IS NOT NULL "
            "AND kind IN ('dashboard', 'epoch')",
            (step,),
        ).fetchall()
        frames = self._connection.execute(
            "SELECT f.file FROM batches b JOIN frames f ON f.id = b.frame "
            "JOIN producers p ON p.id = b.origin WHERE p.incarnation < ? "
            "AND b.global_step > ? AND b.superseded = 0 AND f.file IS NOT NULL",
            (incarnation, step),
        ).fetchall()
        return [file for (file,) in written + frames]

    def _renumber(self, phase: str) -> None:
        """Number the kept rows of `phase` densely again, and sum again what changed."""
        query = (
            "SELECT release, ordinal FROM batches WHERE phase = ? AND superseded = 0 "
            "AND ordinal > ? ORDER BY release"
        )
        whole = self._dense(phase)
        rollups.truncate(self._connection, phase, whole)
        stretches.truncate(self._connection, phase, whole)
        count = whole
        for release, ordinal in self._connection.execute(query, (phase, whole)).fetchall():
            count += 1
            if ordinal != count:
                self._connection.execute(
                    "UPDATE batches SET ordinal = ? WHERE release = ?", (count, release)
                )
            rollups.add_row(self._connection, self._store.lists, phase, count)
            stretches.add_row(self._connection, self._store.lists, phase, count)
        self._ordinals[phase] = count

    def _dense(self, phase: str) -> int:
        """How many rows are kept before the first one that is superseded now."""
        query = (
            "SELECT min(b.ordinal) FROM batches b WHERE b.phase = ? AND b.superseded = 1 AND NOT "
            "EXISTS (SELECT 1 FROM batches k WHERE k.phase = b.phase AND k.superseded = 0 "
            "AND k.ordinal = b.ordinal)"
        )
        (first,) = self._connection.execute(query, (phase,)).fetchone()
        if first is None:
            return self._ordinals.get(phase, 0)
        return int(first) - 1
