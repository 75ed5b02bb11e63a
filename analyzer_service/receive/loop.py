"""The ingest loop: one thread that owns the sockets, the runs and their stores."""

import logging
import math
import time
from collections.abc import Callable
from typing import Final

from analyzer_service.metrics.snapshot import Board
from analyzer_service.receive.parent import Parent
from analyzer_service.receive.runs import Runs, RunsSettings
from analyzer_service.receive.seams import SessionSettings
from analyzer_service.receive.sessions import Sessions
from analyzer_service.receive.survey import Survey
from analyzer_service.workers import Workers
from analyzer_service.workers.wakeup import Wakeup
from shared.transport.server import Channel, RouterPair

logger = logging.getLogger(__name__)

_MESSAGES_PER_TURN: Final[dict[Channel, int]] = {"ctl": 512, "bulk": 32}
_LONGEST_WAIT_S: Final = 0.25
_STOOD_STILL_S: Final = 2.0
_DRAIN_STEP_S: Final = 0.02
_AT_REST_S: Final = 1.0
_LAST_WORDS_MS: Final = 500
_PARENT_GRACE_S: Final = 60.0
_FAREWELL_S: Final = 5.0
_REST_S: Final = 0.3
_REST_POLL_MS: Final = 50


class IngestLoop:
    """Takes messages, commits, acknowledges, until it is told to stop.

    Parameters
    ----------
    router : RouterPair
        The two sockets; closed when `run` returns.
    workers : Workers
        Shared by all runs; the caller closes them.
    runs, sessions : RunsSettings, SessionSettings
        See there.
    once : bool
        Whether to end after the first run has ended.
    parent_pid : int, optional
        A process whose death ends the loop, after its run is written as failed.
    board : Board, optional
        Gets what the loop counts, once a second.
    """

    def __init__(
        self,
        router: RouterPair,
        workers: Workers,
        runs: RunsSettings,
        sessions: SessionSettings = SessionSettings(),  # noqa: B008 - frozen
        *,
        once: bool = False,
        parent_pid: int | None = None,
        board: Board | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._router = router
        self._workers = workers
        self._wakeup = Wakeup()
        self._board = board or Board()
        self._survey = Survey(self._board, runs.output_dir)
        self.runs = Runs(workers, runs, self._wakeup.set, self._survey.last_look)
        self.sessions = Sessions(router, self.runs, sessions)
        self._once = once
        self._parent = None if parent_pid is None else Parent(parent_pid)
        self._clock = clock
        self._stopping = False
        self._last_turn = self._worked_at = clock()
        self._over_at: float | None = None
        router.watch(self._wakeup.fileno())
        router.watch(workers.wakeup_fd)

    def stop(self) -> None:
        """Take nothing more; `run` returns soon. Any thread and signal handlers may call it."""
        self._stopping = True
        self._board.phase = "ending"
        self._wakeup.set()

    def run(self, *, grace_s: float = 10.0) -> None:
        """Receive until `stop`, the end of the first run (`once`) or of the parent.

        Afterwards what was received is committed, and files that are due are written, for
        `grace_s` at most.
        """
        try:
            self._board.phase = "ending" if self._stopping else "open"
            while not self._stopping and not self._finished():
                self.turn()
            self._board.phase = "ending"
            if self._orphaned and not self._stopping:
                self._end_lost_runs()
                grace_s = max(grace_s, _PARENT_GRACE_S)
            self._drain(self._clock() + grace_s)
        finally:
            self.runs.close()
            self._router.close(linger_ms=_LAST_WORDS_MS)
            self._wakeup.close()

    def turn(self) -> None:
        """Wait for something to do, and do it."""
        self._router.poll(self._wait_ms())
        now = self._begin_turn()
        self._receive(now)
        self._work(now, at_once=False)

    def _begin_turn(self) -> float:
        """Clock of this turn; time that the whole process stood still is nobody's silence."""
        self._wakeup.clear()
        now = self._clock()
        gap_s, self._last_turn = now - self._last_turn, now
        if gap_s > _STOOD_STILL_S:
            self.sessions.forgive(gap_s)
            self.runs.forgive(gap_s)
        return now

    def _receive(self, now: float) -> int:
        count = 0
        for channel, limit in _MESSAGES_PER_TURN.items():
            for incoming in self._router.receive(channel, limit):
                count += 1
                try:
                    self.sessions.take(channel, incoming, now)
                except Exception:  # the stage's edge: one message must not end every run
                    self._survey.contained += 1
                    logger.exception("a message could not be dealt with")
        return count

    def _wait_ms(self) -> int:
        until_s = min(self.runs.next_commit() - self._clock(), _LONGEST_WAIT_S)
        return math.ceil(1000 * max(0.0, until_s))

    @property
    def _orphaned(self) -> bool:
        return self._parent is not None and not self._parent.alive()

    def _finished(self) -> bool:
        if self._orphaned:
            return True
        return self._once and self.runs.ended > 0 and self._said_farewell()

    def _said_farewell(self) -> bool:
        """Whether every producer has its FinAck, or has had time to ask for it."""
        now = self._clock()
        self._over_at = now if self._over_at is None else self._over_at
        waiting = any(not session.finished for session in self.sessions)
        return not waiting or now - self._over_at > _FAREWELL_S

    def _end_lost_runs(self) -> None:
        logger.error("the process that started this analyzer is gone: ending its runs as failed")
        self._receive_the_rest()
        for run in self.runs:
            run.pipeline.nobody_joins()
            for origin in list(run.heard):
                self.runs.lost(run, origin.producer)

    def _receive_the_rest(self) -> None:
        """Take what is still on its way: until nothing has come for a moment."""
        begun = came_at = self._clock()
        while (now := self._clock()) - came_at < _REST_S and now - begun < _FAREWELL_S:
            self._router.poll(_REST_POLL_MS)
            if self._receive(now):
                came_at = now
            self._work(now, at_once=False)

    def _drain(self, deadline: float) -> None:
        """Commit what came, write what is due, close W&B; the producers keep the rest."""
        self._turn_without_taking()
        while self._clock() < deadline and not self._at_rest():
            self._turn_without_taking()
        endings = self.runs.end_all()
        while self._clock() < deadline and not all(ending.done for ending in endings):
            self._turn_without_taking()
        self.runs.say_what_is_left()

    def _at_rest(self) -> bool:
        """Whether nothing is at work, even if batches wait for frames that are yet to come."""
        if all(run.failing or run.settled for run in self.runs):
            return True
        working = any(run.pipeline.at_work for run in self.runs)
        return not working and self._clock() - self._worked_at > _AT_REST_S

    def _turn_without_taking(self) -> None:
        now = self._begin_turn()
        self._work(now, at_once=True)
        time.sleep(_DRAIN_STEP_S)

    def _work(self, now: float, *, at_once: bool) -> None:
        if self._workers.poll():
            self._worked_at = now
            self.runs.stir()
        for run, committed in self.runs.commit(now, at_once=at_once):
            self.sessions.committed(run, committed)
        self.runs.tick(now)
        self.sessions.tick(now)
        self._survey.look(self.runs, self.sessions, self.sessions.refused, now)
