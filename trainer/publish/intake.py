"""From the inbox to numbered records and encoded frames, on the sender thread."""

import logging
from collections import deque

from shared.codec import encode
from shared.errors import ContractError
from shared.messages import CriticalMessage, DropReason, EpochEnded
from trainer.publish.compose import batch_frame, batch_metrics, drop_notices
from trainer.publish.contract import CaptureLost
from trainer.publish.frames import FrameWindow, PendingFrame
from trainer.publish.inbox import Handed, Inbox
from trainer.publish.records import UnackedWindow

log = logging.getLogger(__name__)


class Intake:
    """Reads captures in the order they came in, as soon as their values may be read.

    `records_lost` counts critical records that could not be kept because both the memory
    budget and the journal's disk were exhausted; `failures` counts captures that raised.
    """

    def __init__(self, inbox: Inbox, window: UnackedWindow, frames: FrameWindow) -> None:
        self._inbox = inbox
        self._window = window
        self._frames = frames
        self._taken: deque[Handed | EpochEnded] = deque()
        self.records_lost = 0
        self.failures = 0

    def absorb(self) -> None:
        """Take over everything that was handed over; count the frames as offered."""
        while (item := self._inbox.take()) is not None:
            self._taken.append(item)
            if isinstance(item, Handed) and item.fseq is not None:
                self._frames.offer(item.keys.phase)

    def read_ready(self, now_s: float, now_ns: int, *, most: int = 256) -> None:
        """Turn captures whose values are there into records and frames."""
        for _ in range(min(most, len(self._taken))):
            item = self._taken[0]
            if isinstance(item, EpochEnded):
                self.append(item, item.captured_at_ns, now_s)
            elif item.capture.ready():
                self._read(item, now_s)
            else:
                break
            self._taken.popleft()
        self.note_drops(now_s, now_ns)

    def abandon(self, now_s: float, now_ns: int) -> None:
        """Give up captures that never became ready (a device that hangs): count the loss."""
        while self._taken:
            item = self._taken.popleft()
            if isinstance(item, EpochEnded):
                self.append(item, item.captured_at_ns, now_s)
            else:
                self.records_lost += 1
                self._unreadable(item, "closed")
        self.note_drops(now_s, now_ns)

    def note_drops(self, now_s: float, now_ns: int) -> None:
        """Give each new drop a notice of its own on the critical stream."""
        for notice in drop_notices(self._frames.take_drops(), now_ns):
            self.append(notice, now_ns, now_s)

    def append(self, message: CriticalMessage, captured_at_ns: int, now_s: float) -> None:
        """Number a critical message and keep it until it is acknowledged."""
        self._window.evict()
        if self._window.full:
            self.records_lost += 1
            return
        self._window.append(encode(message), captured_at_ns, now_s)

    @property
    def empty(self) -> bool:
        """Whether everything that was taken over is read."""
        return not self._taken

    def _read(self, handed: Handed, now_s: float) -> None:
        try:
            scalars = handed.capture.scalars()
        except Exception:
            self._failed("scalars")
            scalars = {}
        self.append(batch_metrics(handed, scalars), handed.captured_at_ns, now_s)
        if handed.fseq is not None:
            self._read_frame(handed, handed.fseq)
        handed.done = True

    def _read_frame(self, handed: Handed, fseq: int) -> None:
        try:
            parts = encode(batch_frame(handed, handed.capture.frame()))
        except CaptureLost as lost:
            self._unreadable(handed, "queue_full" if handed.evicted else lost.reason)
        except ContractError:
            self._unreadable(handed, "too_large")
        except Exception:
            self._failed("frame")
            self._unreadable(handed, "queue_full" if handed.evicted else "capture_failed")
        else:
            nbytes = sum(len(part) for part in parts)
            stream = handed.keys.phase
            self._frames.encoded(PendingFrame(stream, fseq, parts, handed.captured_at_ns, nbytes))
        handed.capture.drop_frame()

    def _unreadable(self, handed: Handed, reason: DropReason) -> None:
        if handed.fseq is not None:
            self._frames.unreadable(handed.keys.phase, handed.fseq, reason)

    def _failed(self, what: str) -> None:
        self.failures += 1
        if self.failures == 1:
            log.exception("reading the %s of a batch failed; further ones are counted", what)
