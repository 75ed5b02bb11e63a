"""Leaves in each open run's folder, every 2 s, how its analyzer is: a thread beside the loop.

It only reads the snapshots of the board, writes with nobody waiting for it, and whatever a disk
does to it ends nothing.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from analyzer_service.metrics.memory import children_bytes, resident_bytes
from analyzer_service.metrics.snapshot import Board, ProducerCounts, RunCounts, Snapshot
from analyzer_service.sinks.health_file import HealthFile
from analyzer_service.workers.pool import WorkerCounts
from shared.errors import SidelightError
from shared.naming import run_folder_name

logger = logging.getLogger(__name__)

INTERVAL_S: Final = 2.0
MOST_PRODUCERS: Final = 16
_JOIN_S: Final = 2.0


class HealthLog:
    """Writes `health.jsonl` of every run on `board`, until it is closed.

    Parameters
    ----------
    board : Board
        What the ingest loop leaves.
    output_dir : Path
        That the runs' folders are in.
    workers : callable
        Counts the worker processes.

    Attributes
    ----------
    contained : int
        Lines that could not be written.
    """

    def __init__(
        self,
        board: Board,
        output_dir: Path,
        workers: Callable[[], WorkerCounts],
        *,
        interval_s: float = INTERVAL_S,
    ) -> None:
        self._board = board
        self._output_dir = output_dir
        self._workers = workers
        self._interval_s = interval_s
        self._open: dict[str, str] = {}
        self._over: set[str] = set()
        self._closing = threading.Event()
        self.contained = 0
        self._thread = threading.Thread(target=self._run, name="health", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write last lines, and end; waits for a disk 2 s at most."""
        self._closing.set()
        self._thread.join(_JOIN_S)

    def _run(self) -> None:
        while not self._closing.wait(self._interval_s):
            self.look()
        self.look(stopping=True)

    def look(self, *, stopping: bool = False) -> None:
        """Write a line for each run that is open, and a last one for each that is no more."""
        try:
            shot = self._board.latest
            shared = self._shared(shot) if shot.runs else {}
            for run in shot.runs:
                event = self._event(run, stopping)
                if event is not None or run.run_id in self._open:
                    self._write(run, {**shared, **run_facts(run), "event": event})
            self._forget(shot)
        except Exception:  # the thread's edge: being watched must end nothing
            self._contain("the health of runs could not be noted")

    def _event(self, run: RunCounts, stopping: bool) -> str | None:
        """What the line is besides one more: the first, or one after which no more comes."""
        if run.over:
            self._open.pop(run.run_id, None)
            known = run.run_id in self._over
            self._over.add(run.run_id)
            return None if known else "end"
        self._over.discard(run.run_id)
        known = run.run_id in self._open
        self._open[run.run_id] = run.name
        if stopping:
            return "stop"
        return None if known else "start"

    def _forget(self, shot: Snapshot) -> None:
        self._over &= {run.run_id for run in shot.runs}

    def _write(self, run: RunCounts, line: Mapping[str, Any]) -> None:
        try:
            HealthFile(self._output_dir / run_folder_name(run.name)).append(line)
        except (OSError, SidelightError):
            self._contain(f"{run.name}: its health could not be noted")

    def _contain(self, what: str) -> None:
        self.contained += 1
        if self.contained == 1:
            logger.warning("%s (said once; it harms nothing)", what, exc_info=True)

    def _shared(self, shot: Snapshot) -> dict[str, Any]:
        """What is the same for every run."""
        pid = os.getpid()
        return {
            "at": round(time.time(), 3),
            "still_s": round(self._board.still_s, 3),
            "rss_bytes": resident_bytes(pid),
            "children_rss_bytes": children_bytes(pid),
            "workers": asdict(self._workers()),
            "free_bytes": shot.free_bytes,
            "unwritten": self.contained,
        }


def run_facts(run: RunCounts) -> dict[str, Any]:
    """What a line says of one run; sums over its producers, and the first 16 of them by name."""
    producers = run.producers
    heard = [each.heard_at_s for each in producers if each.heard_at_s is not None]
    lags = [each.ingest_lag_s for each in producers if each.ingest_lag_s is not None]
    said = [each.said.books for each in producers if each.said is not None]
    return {
        "status": run.status,
        "released": run.released,
        "ingest_lag_s": _rounded(max(lags, default=None)),
        "work_lag_s": _rounded(run.work_lag_s),
        "frames_waiting": run.frames_waiting,
        "waiting_bytes": sum(each.waiting_bytes for each in producers),
        "records_uncommitted": run.records_uncommitted,
        "store_failing": run.store_failing,
        "waits_for": {name: _rounded(waited) for name, waited in run.waits_for.items()},
        "connected": sum(each.connected for each in producers),
        "heard_at": _rounded(min(heard, default=None)),
        "trainer_waiting_bytes": sum(each.waiting_bytes for each in said) if said else None,
        "trainer_records_pending": sum(each.records.pending for each in said) if said else None,
        **_frames(producers),
        "alerts": dict(run.alerts),
        "wandb": {
            "state": run.wandb.state,
            "rows": run.wandb.rows,
            "images": run.wandb.images,
        },
        "database_bytes": run.database_bytes,
        "frames_bytes": run.frames_bytes,
        "producers": [_producer(each) for each in producers[:MOST_PRODUCERS]],
        "producers_left_out": max(0, len(producers) - MOST_PRODUCERS),
    }


def _frames(producers: tuple[ProducerCounts, ...]) -> dict[str, Any]:
    streams = [counts for each in producers for counts in each.streams.values()]
    reasons: Counter[str] = Counter()
    for counts in streams:
        reasons.update(counts.drops)
    return {
        "offered": sum(counts.totals.offered for counts in streams),
        "delivered": sum(counts.totals.delivered for counts in streams),
        "dropped": sum(counts.totals.dropped for counts in streams),
        "pending": sum(counts.totals.pending for counts in streams),
        "drops": dict(sorted(reasons.items())),
    }


def _producer(each: ProducerCounts) -> dict[str, Any]:
    books = None if each.said is None else each.said.books
    return {
        "name": each.name,
        "connected": each.connected,
        "heard_at": _rounded(each.heard_at_s),
        "ingest_lag_s": _rounded(each.ingest_lag_s),
        "waiting_bytes": each.waiting_bytes,
        "trainer_waiting_bytes": None if books is None else books.waiting_bytes,
        "trainer_records_pending": None if books is None else books.records.pending,
    }


def _rounded(seconds: float | None) -> float | None:
    """To the millisecond: more is nothing but a longer file."""
    return None if seconds is None else round(seconds, 3)
