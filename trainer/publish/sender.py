"""The one thread that reads captures, owns the sockets and writes the journal."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from shared.messages import RunEnded, RunStarted, RunStatus, Stream, Totals
from trainer.publish.frames import FrameWindow
from trainer.publish.inbox import Inbox
from trainer.publish.intake import Intake
from trainer.publish.journal import Journal
from trainer.publish.records import UnackedWindow
from trainer.publish.settings import PublishSettings

if TYPE_CHECKING:  # a recording without an analyzer must not import ZeroMQ
    from trainer.publish.delivery import Delivery
    from trainer.publish.link import Link

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """A snapshot that the sender thread took: its books and what is not acknowledged."""

    totals: Mapping[Stream, Totals] = field(default_factory=dict)
    records_unacked: int = 0
    connected: bool = False
    ever_connected: bool = False
    refusal: str | None = None
    records_lost: int = 0
    capture_failures: int = 0
    journal: Path | None = None
    run_folder: str | None = None


@dataclass(frozen=True)
class Closing:
    """How a run ends: its status, and how long the analyzer may take to catch up."""

    status: RunStatus
    reason: str | None
    timeout_s: float


@dataclass(frozen=True)
class Stages:
    """What one sender works with; `delivery` and `link` are None when only recording."""

    inbox: Inbox
    window: UnackedWindow
    frames: FrameWindow
    journal: Journal
    delivery: "Delivery | None"
    link: "Link | None"


class Sender(threading.Thread):
    """A daemon thread; nothing else touches its sockets, window, frames or journal.

    Parameters
    ----------
    run : RunStarted
        Becomes the first critical record.
    stages : Stages
        Handed over to this thread for good.
    settings : PublishSettings
        Intervals.
    """

    def __init__(self, run: RunStarted, stages: Stages, settings: PublishSettings) -> None:
        super().__init__(name="sidelight-sender", daemon=True)
        self._stages = stages
        self._settings = settings
        self._intake = Intake(stages.inbox, stages.window, stages.frames)
        self._closing: Closing | None = None
        self._wake = threading.Event()
        self._run_started = run
        self._flushed_at_s = float("-inf")
        self.progress = Progress()
        self.delivered_everything = False

    def request_close(self, closing: Closing) -> None:
        """Ask the thread to end the run (any thread)."""
        self._closing = closing
        self._wake.set()

    def run(self) -> None:
        """Work until asked to close; then drain, say goodbye and leave."""
        try:
            started = self._run_started
            self._intake.append(started, started.started_at_ns, time.monotonic())
            while self._closing is None:
                self._turn()
            self._drain(self._closing)
            self._say_goodbye(self._closing)
        except Exception:
            log.exception("the sidecar's sender thread failed; training goes on without it")
        finally:
            self._leave()

    def _turn(self) -> None:
        now_s = time.monotonic()
        self._intake.absorb()
        self._intake.read_ready(now_s, time.time_ns())
        if self._stages.delivery is not None:
            self._stages.delivery.send(now_s)
        self._write_journal(now_s)
        self._snapshot()
        self._wait()

    def _wait(self) -> None:
        timeout_s = self._settings.poll_interval_s
        if self._stages.delivery is None:
            self._wake.wait(timeout_s)
        else:
            self._stages.delivery.receive(timeout_s, time.monotonic())

    def _write_journal(self, now_s: float, *, all_now: bool = False) -> None:
        journal, window = self._stages.journal, self._stages.window
        # Half the interval to be written, half to be flushed: together they keep the promise.
        half_s = self._settings.flush_interval_s / 2
        wait_s = 0.0 if journal.everything or all_now else half_s
        for record in window.unjournaled(older_than_s=now_s - wait_s):
            journal.write_record(record)
        if journal.everything or not self._connected:
            self._write_frames(journal)
        if self._stages.delivery is None:
            self._confirm_recorded()
        if all_now or now_s - self._flushed_at_s >= half_s:
            journal.flush()
            self._flushed_at_s = now_s

    def _write_frames(self, journal: Journal) -> None:
        for frame in self._stages.frames.unconfirmed():
            if not frame.journaled and not journal.write_frame(frame):
                return

    def _confirm_recorded(self) -> None:
        """Without an analyzer, what stands in the recording counts as delivered."""
        window, frames = self._stages.window, self._stages.frames
        window.ack(window.next_cseq - 1)
        frames.credit(1 << 62)
        while (frame := frames.next_frame()) is not None:
            if not frame.journaled:
                frames.drop_waiting("closed")
                break
            frames.sent(frame)
            frames.delivered(frame.stream, [frame.fseq])

    @property
    def _connected(self) -> bool:
        return self._stages.link is not None and self._stages.link.state == "open"

    def _drain(self, closing: Closing) -> None:
        # A fifth of the time, at most 2 s, is kept for the last records and the goodbye.
        began_s = time.monotonic()
        wait_s = closing.timeout_s - min(2.0, closing.timeout_s / 5)
        while not self._drained():
            waited_s = time.monotonic() - began_s
            if waited_s >= wait_s or self._nobody_there(waited_s):
                return
            self._turn()

    def _drained(self) -> bool:
        self._intake.absorb()
        return self._intake.empty and self._stages.frames.idle

    def _nobody_there(self, waited_s: float) -> bool:
        """Nobody ever answered, or refused: waiting for the whole time would help nobody."""
        link = self._stages.link
        if link is None or not self._intake.empty:
            return False
        patience_s = self._settings.first_answer_timeout_s
        return link.state == "refused" or (not link.ever_open and waited_s >= patience_s)

    def _say_goodbye(self, closing: Closing) -> None:
        now_s, now_ns = time.monotonic(), time.time_ns()
        if not self._connected and self._stages.delivery is not None:
            self._write_frames(self._stages.journal)
        self._intake.absorb()
        self._intake.abandon(now_s, now_ns)
        self._stages.frames.drop_waiting("closed")
        self._intake.note_drops(now_s, now_ns)
        ended = RunEnded(
            status=closing.status,
            ended_at_ns=now_ns,
            reason=closing.reason,
            totals=self._stages.frames.totals(),
        )
        self._intake.append(ended, now_ns, now_s)
        self._write_journal(now_s, all_now=self._stages.delivery is None)
        self._await_finack(now_s + min(2.0, closing.timeout_s / 5))

    def _await_finack(self, deadline_s: float) -> None:
        delivery = self._stages.delivery
        while delivery is not None and not delivery.finished and self._connected:
            now_s = time.monotonic()
            if now_s >= deadline_s:
                return
            delivery.send(now_s)
            delivery.send_fin()
            delivery.receive(self._settings.poll_interval_s, now_s)

    def _leave(self) -> None:
        window, journal = self._stages.window, self._stages.journal
        if self._stages.delivery is not None:
            self._stages.delivery.close()
        totals = self._stages.frames.totals().values()
        frames_missing = any(total.dropped or total.pending for total in totals)
        self.delivered_everything = window.all_acked and not frames_missing
        if not window.all_acked:
            self._write_journal(time.monotonic(), all_now=True)
        worth_keeping = not window.all_acked or (journal.holds_frames and frames_missing)
        journal.close(keep=journal.everything or worth_keeping)
        self._snapshot()

    def _snapshot(self) -> None:
        link, delivery, window = self._stages.link, self._stages.delivery, self._stages.window
        self.progress = Progress(
            totals=self._stages.frames.totals(),
            records_unacked=window.next_cseq - 1 - window.acked_cseq,
            connected=self._connected,
            ever_connected=link is not None and link.ever_open,
            refusal=link.refusal if link is not None else None,
            records_lost=self._intake.records_lost,
            capture_failures=self._intake.failures,
            journal=self._stages.journal.path,
            run_folder=delivery.run_folder if delivery is not None else None,
        )
