"""Files that are due: handed to the workers in order, tried twice, noted when they are written.

One that a full disk does not take is tried for half a minute: somebody may make room. What the
system did not take by then is tried again when the run is taken up again.
"""

import errno
import logging
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

from analyzer_service.commit.store import Store
from analyzer_service.pipeline.calls import call_by_name
from analyzer_service.pipeline.retention import KeptDashboards
from analyzer_service.pipeline.settings import PipelineSettings
from analyzer_service.workers import Outcome, Ticket, Workers

logger = logging.getLogger(__name__)

_ATTEMPTS: Final = 2
_ATTEMPTS_ON_FULL_DISK: Final = 7
_FIRST_PAUSE_S: Final = 0.5
_FULL_DISK: Final = (errno.ENOSPC, errno.EDQUOT)
_LOOKAHEAD: Final = 64
_LAST: Final = ("final", "report")


@dataclass(frozen=True, slots=True)
class Job:
    """One file to write."""

    id: int
    kind: str
    phase: str
    number: int
    release: int

    @property
    def key(self) -> tuple[str, str, int]:
        """What tells its file from others; two jobs of one key never run at once."""
        return self.kind, self.phase, self.number

    def __str__(self) -> str:
        return " ".join(str(part) for part in self.key if part != "")


@dataclass
class DueFiles:
    """Runs the jobs of one run.

    Dashboards and epochs go side by side, in the order in which they became due; the complete
    JSON follows when all before it are through, the report last, since it lists the files.
    """

    store: Store
    folder: Path
    workers: Workers
    settings: PipelineSettings
    gathered: dict[Job, Outcome[str]] = field(default_factory=dict)
    _running: dict[Job, Ticket] = field(default_factory=dict)
    _failed: Counter[int] = field(default_factory=Counter)
    _not_before: dict[int, float] = field(default_factory=dict)
    _maybe_due: bool = True

    def __post_init__(self) -> None:
        self._kept = KeptDashboards(self.store, self.settings.keep_dashboards)

    def take_up(self) -> None:
        """Make due again what the system did not take, inside a transaction.

        The report lists the files that are there: it is made anew after them.
        """
        self._kept.adopt()
        taken_up = self.store.connection.execute(
            "UPDATE jobs SET state = 'due', error = NULL WHERE state = 'postponed'"
        )
        if taken_up.rowcount:
            self.store.connection.execute(
                "UPDATE jobs SET state = 'due' WHERE kind = 'report' AND state = 'done'"
            )

    @property
    def idle(self) -> bool:
        """Tell whether nothing is due, at work, or waits to be noted."""
        return not (self._running or self.gathered or self._maybe_due)

    @property
    def at_work(self) -> bool:
        """Tell whether a file is being written."""
        return len(self._running) > 0

    def look_again(self) -> None:
        """Something may have become due."""
        self._maybe_due = True

    def start(self, *, busy: bool) -> None:
        """Hand out due jobs: one at a time while the workers are `busy` with frames."""
        if not self._maybe_due or self.gathered:
            return
        most = 1 if busy else self.workers.size
        try:
            due = self._due()
        except sqlite3.Error as error:  # what is committed must be acked all the same
            logger.warning("the files that are due could not be read: %s", error)
            return
        keys = {job.key for job in self._running}
        for place, job in enumerate(due):
            if len(self._running) >= most:
                return
            if job in self._running or job.key in keys or self._is_put_off(job):
                continue
            if job.kind in _LAST and (self._running or place > 0):
                return
            self._submit(job)
            keys.add(job.key)
        self._maybe_due = len(due) > 0

    def note(self) -> list[str]:
        """Note finished jobs, inside a transaction; return files that nothing refers to."""
        stale: list[str] = []
        drawn = False
        for job, outcome in self.gathered.items():
            if not self._still_due(job):
                if outcome.how == "done" and outcome.value is not None:
                    stale += self._unwanted(outcome.value)
            elif outcome.how == "done" and outcome.value is not None:
                self._written(job, outcome.value)
                drawn = drawn or job.kind == "dashboard"
            else:
                self._not_written(job, outcome)
        return stale + self._kept.settle(drawn=drawn)

    def noted(self) -> None:
        """The transaction of `note` has ended."""
        for job, outcome in self.gathered.items():
            if outcome.how != "done":
                pause_s = _FIRST_PAUSE_S * 2 ** self._failed[job.id] if _is_full(outcome) else 0.0
                self._not_before[job.id] = time.monotonic() + pause_s
                self._failed[job.id] += 1
        self.gathered.clear()
        self._kept.settled()
        self._maybe_due = True

    def cancel(self) -> None:
        """Give up what is at work; it stays due."""
        running, self._running = self._running, {}
        for ticket in running.values():
            self.workers.cancel(ticket)

    def _due(self) -> list[Job]:
        query = (
            "SELECT id, kind, phase, number, release FROM jobs WHERE state = 'due' "
            f"ORDER BY id LIMIT {_LOOKAHEAD}"
        )
        return [Job(*found) for found in self.store.connection.execute(query)]

    def _submit(self, job: Job) -> None:
        dashboard = job.kind == "dashboard"
        limits = self.settings.dashboard_timeout_s, self.settings.file_timeout_s
        numbers = {
            "dashboard": (job.phase, job.number, job.release, self.settings.nuclei_outline),
            "epoch": (job.number, job.release),
        }
        self._running[job] = self.workers.submit(
            call_by_name,
            getattr(self.settings.calls, job.kind),
            self.folder,
            *numbers.get(job.kind, (job.release,)),
            timeout_s=limits[0] if dashboard else limits[1],
            on_done=partial(self._take, job),
            party=self.folder,
        )

    def _take(self, job: Job, outcome: Outcome[str]) -> None:
        if self._running.pop(job, None) is not None:
            self.gathered[job] = outcome

    def _is_put_off(self, job: Job) -> bool:
        return time.monotonic() < self._not_before.get(job.id, 0.0)

    def _still_due(self, job: Job) -> bool:
        query = "SELECT 1 FROM jobs WHERE id = ? AND state = 'due'"
        return self.store.connection.execute(query, (job.id,)).fetchone() is not None

    def _written(self, job: Job, file: str) -> None:
        self.store.connection.execute(
            "UPDATE jobs SET state = 'done', file = ? WHERE id = ?", (file, job.id)
        )
        if job.kind == "dashboard":
            self.store.connection.execute(
                "INSERT OR REPLACE INTO dashboards (phase, number, release, file) "
                "VALUES (?, ?, ?, ?)",
                (job.phase, job.number, job.release, file),
            )

    def _not_written(self, job: Job, outcome: Outcome[str]) -> None:
        attempts = _ATTEMPTS_ON_FULL_DISK if _is_full(outcome) else _ATTEMPTS
        if self._failed[job.id] + 1 < attempts:
            if not self._failed[job.id]:
                self.store.say(logging.WARNING, f"{job} failed, trying again: {outcome.error}")
            return
        self.store.say(logging.ERROR, f"{job} is given up: {outcome.error}")
        state = "failed" if outcome.errno is None else "postponed"
        self.store.connection.execute(
            "UPDATE jobs SET state = ?, error = ? WHERE id = ?", (state, outcome.error, job.id)
        )
        self.store.count_failure("file", f"{job}: {outcome.error}")

    def _unwanted(self, file: str) -> list[str]:
        """The file, unless a job that is through wrote one of the same name."""
        query = "SELECT 1 FROM jobs WHERE file = ? AND state = 'done'"
        found = self.store.connection.execute(query, (file,)).fetchone()
        return [] if found else [file]


def _is_full(outcome: Outcome[str]) -> bool:
    """Whether the disk took no more."""
    return outcome.errno in _FULL_DISK
