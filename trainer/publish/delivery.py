"""From numbered records and encoded frames to the analyzer, and what it answers."""

import logging
import time
from collections import deque
from collections.abc import Iterator
from typing import Final

from shared.codec import Buffer
from shared.errors import ContractError, RecordingError
from shared.messages import Stream
from shared.protocol import (
    Ack,
    Control,
    Credit,
    Fin,
    FinAck,
    Frame,
    Heartbeat,
    Ranges,
    Record,
    Reject,
    Reset,
    Welcome,
    pack,
    unpack,
)
from shared.sequences import RangeSet
from shared.transport.producer import ProducerSockets
from trainer.publish.frames import FrameWindow
from trainer.publish.journal import Journal
from trainer.publish.link import Counted, Link, Reached
from trainer.publish.patience import Patience
from trainer.publish.records import UnackedWindow

log = logging.getLogger(__name__)

_RECORDS_PER_TURN: Final = 1024
_REFILL_S: Final = 0.02
# ZeroMQ counts messages, and a record may be a MiB: so much of them may wait for an Ack.
_RECORDS_ON_WAY_BYTES: Final = 4 << 20
_FIN_AGAIN_S: Final = 1.0
_FORGOT: Final = (
    "the analyzer holds less of this run than it had acknowledged: its folder was removed, or "
    "another analyzer answers at this address"
)
_FOREIGN: Final = (
    "the analyzer holds more of this run than this process has said: another one published under "
    "its names; start with a larger incarnation, or another run name"
)


_FROM_ANALYZER: Final = (Ack, Credit, FinAck, Heartbeat, Reset)


class _Unreadable(Exception):
    """A record that left memory does not stand in the journal any more."""


class Delivery:
    """Sends what may be sent and applies what comes back; never waits."""

    def __init__(
        self,
        sockets: ProducerSockets,
        link: Link,
        window: UnackedWindow,
        frames: FrameWindow,
        journal: Journal,
    ) -> None:
        self._sockets = sockets
        self._link = link
        self._window = window
        self._frames = frames
        self._journal = journal
        self._backfill: Iterator[tuple[int, list[Buffer]] | None] | None = None
        self._backfill_last = 0
        self._held_back: tuple[int, list[Buffer]] | None = None
        self._records_on_way: deque[tuple[int, int]] = deque()
        self._records_on_way_bytes = 0
        self._fin_sent_at_s = float("-inf")
        self._fin_cseq: int | None = None
        self._ack_said = False
        self._patience = Patience()
        self.finished = False
        self.run_folder: str | None = None

    def receive(self, timeout_s: float, now_s: float) -> None:
        """Apply control headers, waiting at most `timeout_s` for the first."""
        for header in self._sockets.receive(int(timeout_s * 1000)):
            try:
                control = unpack(header)
            except ContractError as error:
                self._link.not_understood(str(error), now_s)
                continue
            if not isinstance(control, Credit):  # frames come by bulk: it says nothing of ctl
                self._link.heard(now_s)
            self._apply(control, now_s)

    def send(self, now_s: float, books: Counted | None = None) -> None:
        """Send records in order, then frames within the credit; heartbeats carry `books`."""
        window = self._window
        reached = Reached(window.next_cseq, window.next_to_send - 1, window.acked_cseq)
        self._link.tick(now_s, reached, books)
        if self._link.state != "open":
            return
        self._send_records(now_s)
        # Frames mean nothing to an analyzer that has not committed the run's first record.
        if self._link.may_send_frames and self._window.acked_cseq >= 1:
            self._send_frames(now_s)

    def send_fin(self, now_s: float, books: Counted | None = None) -> None:
        """Say that nothing more will come, once every record was sent; again until it is heard.

        ZeroMQ mends a broken connection by itself and forgets what was in it, this included.
        """
        everything_sent = self._window.next_to_send == self._window.next_cseq
        due = now_s - self._fin_sent_at_s >= _FIN_AGAIN_S
        if self._link.state == "open" and everything_sent and due:
            said = None if books is None else books()
            fin = Fin(last_cseq=self._window.next_cseq - 1, books=said)
            if self._sockets.send("ctl", [pack(fin)]):
                self._fin_sent_at_s, self._fin_cseq = now_s, fin.last_cseq

    def close(self, books: Counted | None = None) -> None:
        """Close the sockets; what they still hold is forgotten (it stands in the window).

        After an end in order, `books` are said once more: those of `Fin` did not know that it
        would be the end.
        """
        last = Heartbeat(books=books()) if self.finished and books is not None else None
        self._sockets.close(last_words=None if last is None else [pack(last)])

    def broken(self, now_s: float) -> None:
        """Start anew after an error of a socket."""
        self._link.broken(now_s)

    def _apply(self, control: Control, now_s: float) -> None:
        """Act on a control header; before a Welcome, nothing else is believed."""
        state = self._link.state
        match control:
            case _ if state not in ("greeting", "open"):
                return
            case Welcome():
                self._welcomed(control, now_s)
            case Reject():
                self._refused(control, now_s)
            case _ if not isinstance(control, _FROM_ANALYZER):
                self._link.not_understood(f"a {control.kind}, as producers send it", now_s)
            case _ if state != "open":
                return
            case Ack():
                self._acked(control.cseq)
            case Credit():
                self._frames.credit(control.credit_bytes)
                self._confirm(control.delivered)
                self._patience.confirmed(now_s)
            case Reset():
                self._fin_sent_at_s = float("-inf")
                self._link.reset(now_s)
            case FinAck():
                if self._fin_cseq is not None:
                    self._acked(self._fin_cseq)  # it says that, too, and the Ack may be lost
                    self.finished = True
            case Heartbeat():
                self._look_for_lost_frames(control, now_s)

    def _acked(self, cseq: int) -> None:
        """Forget what is committed; who acknowledges what was never sent is not believed."""
        if cseq <= max(self._window.sent_cseq, self._window.acked_cseq):
            self._forget(cseq)
        elif not self._ack_said:
            self._ack_said = True
            log.warning("the analyzer acknowledges record %d, which was not sent to it", cseq)

    def _welcomed(self, welcome: Welcome, now_s: float) -> None:
        held, known = welcome.committed_cseq, welcome.acked_cseq
        if held < self._window.acked_cseq:
            if known is None or held < known:
                self._refused(Reject(reason=_FORGOT), now_s)
            return
        if welcome.committed_cseq >= self._window.next_cseq:
            self._refused(Reject(reason=_FOREIGN), now_s)
            return
        self._forget(welcome.committed_cseq)
        self._confirm(welcome.delivered)
        if self._link.answered(welcome):  # the answer to a second Hello: nothing was lost since
            return
        self._records_on_way.clear()
        self._records_on_way_bytes = 0
        self._window.resend_from(welcome.committed_cseq + 1)
        self._backfill = self._held_back = None
        self._fin_sent_at_s = float("-inf")
        if self._frames.any_in_flight:
            # They go again: beside the same ones, still queued there, they would pile up.
            self._sockets.renew("bulk")
        self._frames.reconnected(welcome.credit_bytes)
        self.run_folder = welcome.run_folder
        self._link.welcomed(welcome, now_s)

    def _forget(self, cseq: int) -> None:
        self._window.ack(cseq)
        while self._records_on_way and self._records_on_way[0][0] <= cseq:
            self._records_on_way_bytes -= self._records_on_way.popleft()[1]

    def _refused(self, reject: Reject, now_s: float) -> None:
        log.error("this run is not sent any more: %s. Training goes on.", reject.reason)
        self._link.rejected(reject, now_s)

    def _confirm(self, delivered: dict[Stream, Ranges]) -> None:
        for stream, ranges in delivered.items():
            self._frames.confirm(stream, RangeSet(ranges))

    def _look_for_lost_frames(self, heartbeat: Heartbeat, now_s: float) -> None:
        """Greet again when frames are on their way to an analyzer that has none of them.

        ZeroMQ mends a broken `bulk` connection by itself and forgets what was in it; nobody
        else would notice.
        """
        lost = self._frames.any_in_flight and heartbeat.frames_waiting == 0
        if lost and self._patience.is_over(now_s):
            log.info("frames were lost on their way; they are sent again")
            self._patience.in_vain(now_s)
            self._link.reset(now_s)

    def _send_records(self, now_s: float) -> None:
        try:
            if self._window.next_to_send < self._window.first_in_memory and not self._refill():
                return
        except _Unreadable:
            first = self._window.next_to_send
            reason = f"record {first} cannot be read back from {self._journal.path}"
            self._refused(Reject(reason=f"{reason}: the rest is written there too"), now_s)
            return
        for sent, record in enumerate(self._window.to_send()):
            if sent >= _RECORDS_PER_TURN or not self._send_record(record.cseq, record.parts):
                return

    def _refill(self) -> bool:
        """Send what left memory from the journal, for a while; True when memory can go on."""
        if self._backfill is None:
            self._backfill_last = self._window.first_in_memory - 1
            self._backfill = self._journal.records(self._window.next_to_send, self._backfill_last)
        until_s = time.monotonic() + _REFILL_S
        if self._held_back is not None and not self._send_read_back(*self._held_back):
            return False
        try:
            for item in self._backfill:
                if item is not None and not self._send_read_back(*item):
                    return False
                if time.monotonic() >= until_s:
                    return False
        except RecordingError as error:
            log.error("records cannot be read back: %s", error)
        self._backfill = None
        if self._window.next_to_send <= self._backfill_last:
            raise _Unreadable
        return self._window.next_to_send >= self._window.first_in_memory

    def _send_read_back(self, cseq: int, parts: list[Buffer]) -> bool:
        if cseq > self._window.next_to_send:
            raise _Unreadable
        self._held_back = None
        if not self._send_record(cseq, parts):
            self._held_back = cseq, parts
        return self._held_back is None

    def _send_record(self, cseq: int, parts: list[Buffer]) -> bool:
        if cseq < self._window.next_to_send:
            return True
        if self._records_on_way_bytes >= _RECORDS_ON_WAY_BYTES:
            return False
        sent = self._sockets.send("ctl", [pack(Record(cseq=cseq)), *parts])
        if sent:
            self._window.sent(cseq)
            nbytes = sum(len(part) for part in parts)
            self._records_on_way.append((cseq, nbytes))
            self._records_on_way_bytes += nbytes
        return sent

    def _send_frames(self, now_s: float) -> None:
        while (frame := self._frames.next_frame()) is not None:
            header = pack(Frame(stream=frame.stream, fseq=frame.fseq))
            if not self._sockets.send("bulk", [header, *frame.parts]):
                return
            if not self._frames.any_in_flight:
                self._patience.begin(now_s)
            self._frames.sent(frame)
