"""Publishes, once a second, what the ingest loop counts; never raises and never waits."""

import logging
import os
import sqlite3
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from analyzer_service.metrics.snapshot import Board, ProducerCounts, RunCounts, Said, Snapshot
from analyzer_service.pipeline import Origin
from analyzer_service.receive.census import Clocks, Sessions, count_run, without_store
from analyzer_service.receive.live_run import LiveRun
from analyzer_service.receive.refused import Refused
from analyzer_service.receive.session import Session
from shared.errors import SidelightError

logger = logging.getLogger(__name__)

INTERVAL_S: Final = 1.0
KEPT_S: Final = 600.0
KEPT_RUNS: Final = 64
MOST_PRODUCERS: Final = 512


@dataclass(frozen=True, slots=True)
class _Over:
    """A run that is over: its last numbers, and what is said to and by its producers since."""

    counts: RunCounts
    said: dict[Origin, Said]
    acked: dict[Origin, int]
    since: float


class Survey:
    """Makes snapshots for `board`, on the loop's thread.

    A run that is over stays for 10 minutes, so that somebody sees its last numbers; at most 64
    such runs do. Beyond 512 producers, further ones are only counted.

    Parameters
    ----------
    board : Board
        Where snapshots go.
    output_dir : Path
        Whose free space is told.
    wall_clock : callable
        Seconds since the Unix epoch.

    Attributes
    ----------
    contained : int
        Messages that could not be dealt with, and snapshots that could not be taken.
    """

    def __init__(
        self, board: Board, output_dir: Path, *, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._board = board
        self._output_dir = output_dir
        self._wall_clock = wall_clock
        self._looked_at = float("-inf")
        self._latest: dict[str, RunCounts] = {}
        self._over: OrderedDict[str, _Over] = OrderedDict()
        self.contained = 0

    def look(
        self, runs: Iterable[LiveRun], sessions: Iterable[Session], refused: Refused, now: float
    ) -> None:
        """Note that the loop turns; take a snapshot when it is time."""
        self._board.turned()
        if now - self._looked_at < INTERVAL_S:
            return
        self._looked_at = now
        try:
            self._publish(list(runs), list(sessions), refused, now)
        except Exception:  # the stage's edge: being watched must end nothing
            self.contained += 1
            if self.contained == 1:
                logger.exception("what the loop counts could not be published")

    def last_look(self, run: LiveRun, now: float) -> None:
        """Keep the numbers of a run that is over, before it is closed; they are told at once."""
        self._looked_at = float("-inf")
        counts = self._count(run, {}, self._clocks(now))
        self._over[run.started.run_id] = _Over(counts, run.said, run.acked, now)
        if len(self._over) > KEPT_RUNS:
            self._over.popitem(last=False)

    def _publish(
        self, runs: list[LiveRun], sessions: list[Session], refused: Refused, now: float
    ) -> None:
        by_run: defaultdict[str, dict[Origin, Session]] = defaultdict(dict)
        for session in sessions:
            by_run[session.hello.run_id][session.origin] = session
        clocks = self._clocks(now)
        self._latest = {
            run.started.run_id: self._count(run, by_run[run.started.run_id], clocks) for run in runs
        }
        self._forget(now)
        ended = [_with_last_words(over) for over in self._over.values()]
        shown, left_out = _bounded([*self._latest.values(), *ended])
        self._board.latest = Snapshot(
            taken_at_s=clocks.wall_s,
            runs=shown,
            producers_connected=sum(not session.away for session in sessions),
            producers_left_out=left_out,
            malformed=refused.malformed,
            ignored=refused.ignored,
            contained=self.contained,
            free_bytes=_free_bytes(self._output_dir),
        )

    def _count(self, run: LiveRun, sessions: Sessions, clocks: Clocks) -> RunCounts:
        try:
            return count_run(run, sessions, clocks)
        except (SidelightError, sqlite3.Error, OSError):
            # It cannot be read now: what was known stays, and it is said that the store fails.
            known = self._latest.get(run.started.run_id) or without_store(run)
            return replace(known, store_failing=True)

    def _forget(self, now: float) -> None:
        """Let go of runs that have been over for long, or that go on."""
        for run_id, over in list(self._over.items()):
            if now - over.since > KEPT_S or run_id in self._latest:
                del self._over[run_id]

    def _clocks(self, now: float) -> Clocks:
        return Clocks(now, self._wall_clock())


def _with_last_words(over: _Over) -> RunCounts:
    """Its numbers, with the latest that each producer said; nobody is connected to it."""
    said = {origin.producer: over.said[origin] for origin in sorted(over.said)}
    acked = {origin.producer: over.acked[origin] for origin in sorted(over.acked)}
    producers = [
        replace(each, connected=False, said=said.get(each.name), acked=acked.get(each.name, 0))
        for each in over.counts.producers
    ]
    return replace(over.counts, producers=tuple(producers), over=True)


def _bounded(runs: list[RunCounts]) -> tuple[tuple[RunCounts, ...], int]:
    """The same runs with so many producers in all, and how many were left out."""
    room, shown, left_out = MOST_PRODUCERS, [], 0
    for run in runs:
        kept: tuple[ProducerCounts, ...] = run.producers[:room]
        room -= len(kept)
        left_out += len(run.producers) - len(kept)
        shown.append(replace(run, producers=kept))
    return tuple(shown), left_out


def _free_bytes(folder: Path) -> int | None:
    try:
        found = os.statvfs(folder)
    except OSError:
        return None
    return found.f_bavail * found.f_frsize
