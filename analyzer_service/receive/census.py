"""Counts one run that is being received, in the form that other threads may read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from analyzer_service.commit.database import run_database
from analyzer_service.metrics.snapshot import ProducerCounts, RunCounts
from analyzer_service.pipeline import Origin
from analyzer_service.pipeline.counts import OriginCounts
from analyzer_service.receive.live_run import LiveRun
from analyzer_service.receive.session import Session

Sessions = Mapping[Origin, Session]


@dataclass(frozen=True, slots=True)
class Clocks:
    """One moment on the loop's clock and on the wall's, both in seconds."""

    loop_s: float
    wall_s: float

    def on_the_wall(self, loop_s: float) -> float:
        """Unix time of a moment on the loop's clock."""
        return self.wall_s - (self.loop_s - loop_s)


def count_run(run: LiveRun, sessions: Sessions, clocks: Clocks) -> RunCounts:
    """Everything that `run` counts, of the latest start of each producer.

    Raises
    ------
    StoreError, sqlite3.Error, OSError
        If its database cannot be read.
    """
    counts = run.pipeline.counts()
    latest = {origin.producer: origin for origin in sorted(counts.origins)}
    return replace(
        without_store(run),
        status=counts.status or "running",
        producers=tuple(
            _count_producer(run, origin, counts.origins[origin], sessions.get(origin), clocks)
            for origin in latest.values()
        ),
        released=counts.released,
        failures=counts.failures,
        alerts=_alerts(counts.alerts, run),
        database_bytes=_database_bytes(run.folder),
        frames_bytes=counts.frames_bytes,
    )


def without_store(run: LiveRun) -> RunCounts:
    """What is known of `run` without asking its database."""
    return RunCounts(
        run_id=run.started.run_id,
        name=run.started.run_name,
        frames_waiting=run.pipeline.frames_waiting,
        work_lag_s=run.pipeline.work_lag_ms / 1000,
        records_uncommitted=run.uncommitted_records,
        store_failing=run.failing,
        wandb=run.sink.standing(),
        waits_for=run.pipeline.waits_for,
    )


def _alerts(committed: Mapping[str, int], run: LiveRun) -> dict[str, int]:
    """Alerts that go on: of the rows, and trainers that stand still at this moment."""
    still = len(run.stalls.standing)
    return {**committed, **({"stalled": still} if still else {})}


def _count_producer(
    run: LiveRun,
    origin: Origin,
    counts: OriginCounts,
    session: Session | None,
    clocks: Clocks,
) -> ProducerCounts:
    heard = run.heard.get(origin) if session is None else session.heard_at
    lag_ms = None if session is None else session.ingest_lag_ms
    early = 0 if session is None else session.early_bytes
    return ProducerCounts(
        name=origin.producer,
        streams=counts.streams,
        said=run.said.get(origin),
        committed=counts.committed,
        acked=run.acked.get(origin, 0),
        connected=session is not None and not session.away,
        heard_at_s=None if heard is None else clocks.on_the_wall(heard),
        ingest_lag_s=None if lag_ms is None else lag_ms / 1000,
        waiting_bytes=run.waiting_bytes[origin] + early,
    )


def _database_bytes(folder: Path) -> int:
    path = run_database(folder)
    wal = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)
