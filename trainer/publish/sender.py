"""The one thread that reads captures, owns the sockets and writes the journal."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from shared.messages import Books, RunEnded, RunStarted, RunStatus
from trainer.publish.intake import Intake
from trainer.publish.keeping import Keeper
from trainer.publish.progress import Progress, count_books
from trainer.publish.settings import PublishSettings
from trainer.publish.stages import Stages

log = logging.getLogger(__name__)

_FAREWELL_S: Final = 2.0
_LEAVE_S: Final = 0.5
_SHOWN_EVERY_S: Final = 0.05  # books take as long to count as a record to send


@dataclass(frozen=True)
class Closing:
    """How a run ends: its status, and how long the analyzer may take to catch up.

    `deadline_s` is when that time is over (monotonic).
    """

    status: RunStatus
    reason: str | None
    timeout_s: float
    deadline_s: float


class Sender(threading.Thread):
    """A daemon thread; nothing else touches its sockets, window, frames or journal.

    Whatever fails in it, training goes on, and what was handed over goes to the journal.

    Parameters
    ----------
    run : RunStarted
        Becomes the first critical record.
    stages : Stages
        Handed over to this thread for good.
    settings : PublishSettings
        Intervals.

    Attributes
    ----------
    ended : threading.Event
        Set when it has done all that it will do. (Once Ctrl-C has interrupted a `join`, Python
        3.11 takes a thread that runs for one that has ended.)
    """

    def __init__(self, run: RunStarted, stages: Stages, settings: PublishSettings) -> None:
        super().__init__(name="sidelight-sender", daemon=True)
        self._stages = stages
        self._settings = settings
        self._keeper = Keeper(
            stages.window,
            stages.frames,
            stages.journal,
            interval_s=settings.flush_interval_s,
            alone=stages.delivery is None,
        )
        self._intake = Intake(
            stages.inbox, stages.window, stages.frames, make_room=self._keeper.make_room
        )
        self._closing: Closing | None = None
        self._wake = threading.Event()
        self._run_started = run
        self._contained_failures: Counter[str] = Counter()
        self._shown_at_s = float("-inf")
        self.progress = Progress()
        self._end_said = False
        self.delivered_everything = False
        self.over = False
        self.ended = threading.Event()

    def request_close(self, closing: Closing) -> None:
        """Ask the thread to end the run (any thread); asked again, it is the last word."""
        self._closing = closing
        self._wake.set()

    @property
    def saved(self) -> int:
        """Grows with every record that is read or written to a file (any thread may ask)."""
        return self._intake.read + self._stages.window.written_cseq

    def run(self) -> None:
        """Work until asked to close; then drain, say goodbye and leave."""
        try:
            started = self._run_started
            self._intake.append(started, started.started_at_ns, time.monotonic())
            self._snapshot()  # whatever happens, the books know of it
            while self._closing is None:
                self._turn()
            self._drain()
            self._say_goodbye()
        except Exception:
            log.exception("the sidecar's sender thread failed; training goes on without it")
            with self._contained("saving what was handed over"):
                self._intake.absorb()
                self._intake.abandon(time.monotonic(), time.time_ns())
        finally:
            self.over = self._stages.inbox.closed = True
            try:
                self._leave()
            finally:
                self.ended.set()

    def _turn(self) -> None:
        now_s = time.monotonic()
        with self._contained("reading batches"):
            self._intake.absorb()
            self._intake.read_ready(now_s, time.time_ns())
        self._send(now_s)
        with self._contained("writing the journal"):
            self._keeper.keep(now_s, connected=self._connected)
        if now_s >= self._shown_at_s + _SHOWN_EVERY_S:
            self._shown_at_s = now_s
            self._snapshot()
        self._receive()

    def _send(self, now_s: float, *, fin: bool = False) -> None:
        delivery = self._stages.delivery
        if delivery is None:
            return
        with self._contained("sending", then=delivery.broken):
            delivery.send(now_s, self._books)
            if fin:
                delivery.send_fin(now_s, self._books)

    def _receive(self) -> None:
        timeout_s, delivery = self._settings.poll_interval_s, self._stages.delivery
        if delivery is None:
            self._wake.wait(timeout_s)
            return
        with self._contained("receiving", then=delivery.broken):
            delivery.receive(timeout_s, time.monotonic())

    @contextmanager
    def _contained(
        self, what: str, *, then: Callable[[float], None] | None = None
    ) -> Iterator[None]:
        """Go on after an exception; the first of each kind is logged."""
        try:
            yield
        except Exception:
            self._contained_failures[what] += 1
            if self._contained_failures[what] == 1:
                log.exception("%s failed; it is tried again, training goes on", what)
            if then is not None:
                then(time.monotonic())
                time.sleep(self._settings.poll_interval_s)

    @property
    def _connected(self) -> bool:
        return self._stages.link is not None and self._stages.link.state == "open"

    @property
    def _leaves(self) -> Closing:
        """How it is to end, as of now."""
        assert self._closing is not None
        return self._closing

    def _drain(self) -> None:
        began_s = time.monotonic()
        while not self._drained():
            now_s, closing = time.monotonic(), self._leaves
            # A fifth of the time, at most 2 s, is kept for the last records and the goodbye.
            until_s = closing.deadline_s - min(_FAREWELL_S, closing.timeout_s / 5)
            if now_s >= until_s or (self._intake.empty and self._in_vain(now_s - began_s)):
                return
            self._turn()

    def _drained(self) -> bool:
        self._intake.absorb()
        return self._intake.empty and self._stages.frames.idle

    def _in_vain(self, waited_s: float) -> bool:
        """Whether waiting any longer would help nobody."""
        link, lives = self._stages.link, self._stages.analyzer_lives
        if link is None:
            return self._stages.journal.failing
        if link.state == "refused" or (lives is not None and not lives()):
            return True
        return not link.ever_open and waited_s >= self._settings.first_answer_timeout_s

    def _say_goodbye(self) -> None:
        closing = self._leaves
        now_s, now_ns = time.monotonic(), time.time_ns()
        frames = self._stages.frames
        self._intake.absorb()
        self._intake.abandon(now_s, now_ns)
        if not frames.idle:  # they did not get through in time: a replay brings them
            with self._contained("writing the journal"):
                self._keeper.keep_all(until_s=max(closing.deadline_s, now_s + _LEAVE_S))
        frames.drop_waiting("closed")
        # Those that arrive all the same count as delivered there; of the others nothing else tells.
        frames.drop_in_flight("peer_lost")
        self._intake.note_drops(now_s, now_ns, last=True)
        ended = RunEnded(
            status=closing.status,
            ended_at_ns=now_ns,
            reason=closing.reason,
            totals=frames.totals(),
            records=self._books().records,
        )
        self._intake.append(ended, now_ns, now_s)
        self._end_said = True
        self._snapshot()
        self._await_finack()

    def _await_finack(self) -> None:
        delivery, began_s = self._stages.delivery, time.monotonic()
        missing_s = began_s
        while delivery is not None and not delivery.finished:
            now_s = time.monotonic()
            if not self._all_confirmed:
                missing_s = now_s
            # All is committed: without the last word, too, after a while.
            until_s = min(self._leaves.deadline_s, missing_s + _FAREWELL_S)
            if now_s >= until_s or self._in_vain(now_s - began_s):
                return
            self._send(now_s, fin=True)
            with self._contained("writing the journal"):
                self._keeper.keep(now_s, connected=True)
            self._receive()

    @property
    def _all_confirmed(self) -> bool:
        return self._stages.window.all_acked and self._stages.frames.idle

    def _leave(self) -> None:
        """Close everything; one thing that fails keeps nothing else from its end."""
        window, frames, journal = self._stages.window, self._stages.frames, self._stages.journal
        with self._contained("closing the sockets"):
            if self._stages.delivery is not None:
                self._stages.delivery.close(self._books)
        with self._contained("writing the journal"):
            journal.try_again()
            if journal.everything or not self._all_confirmed:
                self._keeper.keep_all(until_s=time.monotonic() + _LEAVE_S)
        self._intake.lost += window.forget_unkept()
        missing = any(total.dropped or total.pending for total in frames.totals().values())
        kept = self._end_said and self._intake.records_lost == 0
        self.delivered_everything = window.all_acked and not missing and kept
        with self._contained("closing the journal"):
            worth_keeping = not window.all_acked or (journal.holds_frames and missing)
            journal.close(keep=journal.everything or worth_keeping)
        self._snapshot()

    def _books(self, not_taken: int | None = None) -> Books:
        stages = self._stages
        not_taken = stages.inbox.not_taken if not_taken is None else not_taken
        return count_books(self._intake, stages.window, stages.frames, not_taken=not_taken)

    def _snapshot(self) -> None:
        link, delivery = self._stages.link, self._stages.delivery
        not_taken = self._stages.inbox.not_taken
        self.progress = Progress(
            books=self._books(not_taken),
            not_taken=not_taken,
            read=self._intake.read,
            without_values=self._intake.without_values,
            connected=self._connected,
            ever_connected=link is not None and link.ever_open,
            refusal=link.refusal if link is not None else None,
            capture_failures=self._intake.failures,
            journal=self._stages.journal.path,
            run_folder=delivery.run_folder if delivery is not None else None,
        )
