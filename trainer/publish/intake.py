"""From the inbox to numbered records and encoded frames, on the sender thread."""

import logging
from collections import deque
from collections.abc import Callable
from typing import Final

from shared.codec import encode
from shared.errors import ContractError
from shared.messages import (
    CriticalMessage,
    DropNotice,
    DropReason,
    EpochEnded,
    RunEnded,
    Stream,
)
from shared.sequences import RangeSet
from trainer.publish.compose import batch_frame, batch_metrics, drop_notices, notices_of
from trainer.publish.contract import CaptureLost, ValuesLost
from trainer.publish.frames import FrameWindow, PendingFrame
from trainer.publish.inbox import Handed, Inbox
from trainer.publish.records import UnackedWindow

log = logging.getLogger(__name__)

# As many as arrive while a frame settles; the rest waits in the inbox, which has the bounds.
_MOST_TAKEN: Final = 4096


class Intake:
    """Reads captures in the order they came in, as soon as their values may be read.

    Scalars do not wait for frames: a frame may have to settle before it can be trusted.
    Whatever a capture raises costs its own values only.

    Attributes
    ----------
    offered : int
        Critical records that there were, numbered or lost.
    lost : int
        Those that were not kept: a message that cannot be made, memory budget and journal's
        disk both exhausted.
    without_values : int
        Records of batches whose values never came: a device that hangs.
    failures : int
        Captures that raised.
    read : int
        Batches and events of the inbox that became records, or were lost.
    """

    def __init__(
        self,
        inbox: Inbox,
        window: UnackedWindow,
        frames: FrameWindow,
        *,
        make_room: Callable[[], None],
    ) -> None:
        self._inbox = inbox
        self._window = window
        self._frames = frames
        self._make_room = make_room
        self._taken: deque[Handed | EpochEnded] = deque()
        self._unread: deque[Handed] = deque()
        self._unsaid: dict[tuple[Stream, DropReason], RangeSet] = {}
        self.offered = 0
        self.lost = 0
        self.without_values = 0
        self.failures = 0
        self.read = 0
        self._too_large_said = False

    def absorb(self) -> None:
        """Take over what was handed over; count the frames as offered."""
        while len(self._taken) + len(self._unread) < _MOST_TAKEN:
            if (item := self._inbox.take()) is None:
                return
            self._taken.append(item)
            if isinstance(item, Handed) and item.fseq is not None:
                self._frames.offer(item.keys.phase)

    def read_ready(self, now_s: float, now_ns: int, *, most: int = 256) -> None:
        """Turn captures whose values are there into records and frames."""
        for _ in range(min(most, len(self._taken))):
            item = self._taken[0]
            if isinstance(item, Handed) and not self._may_read(item.capture.scalars_ready):
                break
            self._record(self._taken.popleft(), now_s)
        for _ in range(min(most, len(self._unread))):
            if not self._may_read(self._unread[0].capture.ready):
                break
            self._read_frame(self._unread.popleft())
        self.note_drops(now_s, now_ns)

    def abandon(self, now_s: float, now_ns: int) -> None:
        """Read every scalar that is there; give up frames, and values that never came.

        A batch whose values never came (a device that hangs) is recorded without them.
        """
        self._give_up_frames()
        self.absorb()
        while self._taken:
            item = self._taken.popleft()
            late = isinstance(item, Handed) and not self._may_read(item.capture.scalars_ready)
            self.without_values += late
            self._record(item, now_s, without_values=late)
            self._give_up_frames()
            self.absorb()
        self.note_drops(now_s, now_ns, last=True)

    def note_drops(self, now_s: float, now_ns: int, *, last: bool = False) -> None:
        """Give each new drop a notice of its own on the critical stream.

        While there is no room for any record they wait, for nobody else tells what became of
        these frames; with `last` they are said whatever room there is.
        """
        drops = self._frames.take_drops()
        if not (drops or self._unsaid):
            return
        if self._no_room() and not last:
            for drop in drops:
                self._unsaid.setdefault((drop.stream, drop.reason), RangeSet()).add(drop.fseq)
            return
        unsaid, self._unsaid = self._unsaid, {}
        for notice in [*notices_of(unsaid, now_ns), *drop_notices(drops, now_ns)]:
            self.append(notice, now_ns, now_s)

    def append(self, message: CriticalMessage, captured_at_ns: int, now_s: float) -> None:
        """Number a critical message and keep it until it is acknowledged."""
        self.offered += 1
        try:
            parts = encode(message)
        except ContractError as error:
            log.error("a %s cannot be sent and is lost: %s", message.type, error)
            self.lost += 1
            return
        # The run's end tells it from a failed one, and notices have waited until they may go.
        if self._no_room() and not isinstance(message, RunEnded | DropNotice):
            self.lost += 1
            return
        self._window.append(parts, captured_at_ns, now_s)

    @property
    def records_lost(self) -> int:
        """Records that were not kept, or have not their values."""
        return self.lost + self.without_values

    @property
    def empty(self) -> bool:
        """Whether everything that was taken over is read."""
        return not self._taken and not self._unread

    def _no_room(self) -> bool:
        if self._window.full:
            self._make_room()
        return self._window.full

    def _may_read(self, ready: Callable[[], bool]) -> bool:
        """What a capture says of itself; one that raises says what is wrong when it is read."""
        try:
            return ready()
        except Exception:
            self._failed("state")
            return True

    def _record(
        self, item: Handed | EpochEnded, now_s: float, *, without_values: bool = False
    ) -> None:
        self.read += 1
        if isinstance(item, EpochEnded):
            self.append(item, item.captured_at_ns, now_s)
            return
        self._unread.append(item)
        scalars: dict[str, float] = {}
        try:
            if not without_values:
                scalars = item.capture.scalars()
        except ValuesLost as lost:
            scalars = lost.scalars
            self.without_values += 1
        except Exception:
            self.without_values += 1
            self._failed("scalars")
        try:
            message = batch_metrics(item, scalars)
        except Exception:
            self.offered += 1
            self.lost += 1
            self._failed("keys")
            return
        self.append(message, item.captured_at_ns, now_s)

    def _give_up_frames(self) -> None:
        while self._unread:
            handed = self._unread.popleft()
            self._unreadable(handed, "closed")
            self._inbox.done(handed)

    def _read_frame(self, handed: Handed) -> None:
        if handed.fseq is not None:
            self._encode_frame(handed, handed.fseq)
            try:
                handed.capture.drop_frame()
            except Exception:
                self._failed("memory")
        self._inbox.done(handed)

    def _encode_frame(self, handed: Handed, fseq: int) -> None:
        stream = handed.keys.phase
        try:
            parts = encode(batch_frame(handed, handed.capture.frame()))
        except CaptureLost as lost:
            self._unreadable(handed, lost.reason)
        except ContractError:
            self._unreadable(handed, "too_large")
        except Exception:
            self._failed("frame")
            self._unreadable(handed, "capture_failed")
        else:
            nbytes = sum(len(part) for part in parts)
            self._frames.encoded(PendingFrame(stream, fseq, parts, handed.captured_at_ns, nbytes))

    def _unreadable(self, handed: Handed, reason: DropReason) -> None:
        if not self._inbox.holds(handed) and not self._too_large_said:
            self._too_large_said = True
            log.warning(
                "one batch keeps %d bytes alive until it is copied, more than capture_mib allows: "
                "such frames are dropped and counted, training goes on",
                handed.nbytes,
            )
        if handed.fseq is not None:
            self._frames.unreadable(handed.keys.phase, handed.fseq, reason)

    def _failed(self, what: str) -> None:
        self.failures += 1
        if self.failures == 1:
            log.exception("reading the %s of a batch failed; further ones are counted", what)
