"""From numbered records and encoded frames to the analyzer, and what it answers."""

import logging
from collections.abc import Iterator

from shared.codec import Buffer
from shared.errors import ContractError
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
from shared.transport.producer import ProducerSockets
from trainer.publish.frames import FrameWindow
from trainer.publish.journal import Journal
from trainer.publish.link import Link
from trainer.publish.records import UnackedWindow

log = logging.getLogger(__name__)

_RECORDS_PER_TURN = 1024
_FORGOT = (
    "the analyzer holds less of this run than it had acknowledged: its folder was removed, or "
    "another analyzer answers at this address"
)


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
        self._backfill: Iterator[tuple[int, list[Buffer]]] | None = None
        self._held_back: tuple[int, list[Buffer]] | None = None
        self._fin_sent = False
        self.finished = False
        self.analyzer_frames_waiting = 0
        self.run_folder: str | None = None

    def receive(self, timeout_s: float, now_s: float) -> None:
        """Apply control headers, waiting at most `timeout_s` for the first."""
        for header in self._sockets.receive(int(timeout_s * 1000)):
            try:
                control = unpack(header)
            except ContractError as error:
                log.warning("the analyzer sent something unreadable: %s", error)
                continue
            self._link.heard(now_s)
            self._apply(control, now_s)

    def send(self, now_s: float) -> None:
        """Send records in order, then frames within the credit."""
        self._link.tick(now_s, self._window.next_cseq)
        if self._link.state != "open":
            return
        self._send_records()
        # Frames mean nothing to an analyzer that has not committed the run's first record.
        if self._link.may_send_frames and self._window.acked_cseq >= 1:
            self._send_frames()

    def send_fin(self) -> None:
        """Say that nothing more will come, once every record was sent."""
        everything_sent = self._window.next_to_send == self._window.next_cseq
        if self._link.state == "open" and everything_sent and not self._fin_sent:
            fin = Fin(last_cseq=self._window.next_cseq - 1)
            self._fin_sent = self._sockets.send("ctl", [pack(fin)])

    def close(self) -> None:
        """Close the sockets; what they still hold is forgotten (it stands in the window)."""
        self._sockets.close()

    def _apply(self, control: Control, now_s: float) -> None:
        match control:
            case Ack():
                self._window.ack(control.cseq)
            case Credit():
                self._frames.credit(control.credit_bytes)
                self._confirm(control.delivered)
            case Welcome():
                self._welcomed(control, now_s)
            case Reject():
                self._refused(control, now_s)
            case Reset():
                self._fin_sent = False
                self._link.reset(now_s)
            case FinAck():
                self.finished = True
            case Heartbeat():
                self.analyzer_frames_waiting = control.frames_waiting
            case _:
                log.warning("the analyzer sent a %s, which only producers send", control.kind)

    def _welcomed(self, welcome: Welcome, now_s: float) -> None:
        if welcome.committed_cseq < self._window.acked_cseq:
            self._refused(Reject(reason=_FORGOT), now_s)
            return
        self._window.ack(welcome.committed_cseq)
        self._window.resend_from(welcome.committed_cseq + 1)
        self._backfill = self._held_back = None
        self._fin_sent = False
        self._confirm(welcome.delivered)
        self._frames.reconnected(welcome.credit_bytes)
        self.run_folder = welcome.run_folder
        self._link.welcomed(welcome, now_s)

    def _refused(self, reject: Reject, now_s: float) -> None:
        log.error("the analyzer refused this run: %s. Training goes on.", reject.reason)
        self._link.rejected(reject, now_s)

    def _confirm(self, delivered: dict[Stream, Ranges]) -> None:
        for stream, ranges in delivered.items():
            held = self._frames.in_flight(stream)
            self._frames.delivered(
                stream, [fseq for fseq in held if any(a <= fseq <= b for a, b in ranges)]
            )

    def _send_records(self) -> None:
        if self._window.next_to_send < self._window.first_in_memory and not self._refill():
            return
        for sent, record in enumerate(self._window.to_send()):
            if sent >= _RECORDS_PER_TURN or not self._send_record(record.cseq, record.parts):
                return

    def _refill(self) -> bool:
        """Send what left memory from the journal; True when memory can go on."""
        if self._backfill is None:
            first, last = self._window.next_to_send, self._window.first_in_memory - 1
            self._backfill = self._journal.records(first, last)
        for _ in range(_RECORDS_PER_TURN):
            item = self._held_back or next(self._backfill, None)
            if item is None:
                self._backfill = None
                return self._window.next_to_send >= self._window.first_in_memory
            self._held_back = None if self._send_record(*item) else item
            if self._held_back is not None:
                return False
        return False

    def _send_record(self, cseq: int, parts: list[Buffer]) -> bool:
        if cseq < self._window.next_to_send:
            return True
        sent = self._sockets.send("ctl", [pack(Record(cseq=cseq)), *parts])
        if sent:
            self._window.sent(cseq)
        return sent

    def _send_frames(self) -> None:
        while (frame := self._frames.next_frame()) is not None:
            header = pack(Frame(stream=frame.stream, fseq=frame.fseq))
            if not self._sockets.send("bulk", [header, *frame.parts]):
                return
            self._frames.sent(frame)
