"""Frames on their way: waiting for credit, sent and not yet confirmed, delivered, dropped."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.codec import Buffer
from shared.messages import DropReason, Stream, Totals

STREAMS: tuple[Stream, ...] = ("train", "val")


@dataclass(slots=True)
class PendingFrame:
    """An encoded frame that is not confirmed yet."""

    stream: Stream
    fseq: int
    parts: list[Buffer]
    captured_at_ns: int
    nbytes: int
    journaled: bool = False


@dataclass(frozen=True, slots=True)
class Drop:
    """A frame that will not arrive."""

    stream: Stream
    fseq: int
    reason: DropReason


@dataclass(slots=True)
class _StreamBook:
    offered: int = 0
    delivered: int = 0
    dropped: int = 0
    unread: int = 0
    waiting: deque[PendingFrame] = field(default_factory=deque)


class FrameWindow:
    """Frames by stream, within a byte budget and the analyzer's credit.

    Every frame is in one place at a time: unread (its tensors are not copied yet), waiting,
    in flight, or counted as delivered or dropped; `totals` counts each place by itself.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._books: dict[Stream, _StreamBook] = {stream: _StreamBook() for stream in STREAMS}
        self._in_flight: dict[tuple[Stream, int], PendingFrame] = {}
        self._drops: list[Drop] = []
        self._credit_bytes = 0
        self.waiting_bytes = 0

    def offer(self, stream: Stream) -> None:
        """Count a frame that was offered; its tensors are not read yet."""
        book = self._books[stream]
        book.offered += 1
        book.unread += 1

    def encoded(self, frame: PendingFrame) -> None:
        """Take an offered frame in its wire form; over the budget, drop the oldest."""
        book = self._books[frame.stream]
        book.unread -= 1
        book.waiting.append(frame)
        self.waiting_bytes += frame.nbytes
        while self.waiting_bytes > self._budget_bytes:
            self._drop_oldest(frame.stream)

    def unreadable(self, stream: Stream, fseq: int, reason: DropReason) -> None:
        """Count an offered frame as dropped before it could be read."""
        self._books[stream].unread -= 1
        self._count_drop(stream, fseq, reason)

    def next_frame(self) -> PendingFrame | None:
        """The frame that goes next, if the credit allows it: validation before training."""
        for stream in reversed(STREAMS):
            waiting = self._books[stream].waiting
            if waiting:
                affordable = waiting[0].nbytes <= self._credit_bytes or not self._in_flight
                return waiting[0] if affordable else None
        return None

    def sent(self, frame: PendingFrame) -> None:
        """Note that the frame from `next_frame` was handed to the socket."""
        self._books[frame.stream].waiting.popleft()
        self.waiting_bytes -= frame.nbytes
        self._credit_bytes -= frame.nbytes
        self._in_flight[frame.stream, frame.fseq] = frame

    def credit(self, credit_bytes: int) -> None:
        """Add returned credit."""
        self._credit_bytes += credit_bytes

    def delivered(self, stream: Stream, fseqs: Iterable[int]) -> None:
        """Count frames that the analyzer has committed with their results."""
        for fseq in fseqs:
            if self._in_flight.pop((stream, fseq), None) is not None:
                self._books[stream].delivered += 1

    def reconnected(self, credit_bytes: int) -> None:
        """Start with fresh credit; what was in flight and is not confirmed goes again."""
        self._credit_bytes = credit_bytes
        again = sorted(self._in_flight.values(), key=lambda frame: frame.fseq, reverse=True)
        for frame in again:
            self._books[frame.stream].waiting.appendleft(frame)
            self.waiting_bytes += frame.nbytes
        self._in_flight.clear()

    def in_flight(self, stream: Stream) -> list[int]:
        """Numbers of the frames that were sent and are not confirmed."""
        return [fseq for of, fseq in self._in_flight if of == stream]

    def unconfirmed(self) -> list[PendingFrame]:
        """Every encoded frame that is waiting or in flight."""
        waiting = [frame for stream in STREAMS for frame in self._books[stream].waiting]
        return [*self._in_flight.values(), *waiting]

    def drop_waiting(self, reason: DropReason) -> None:
        """Drop every frame that was not sent."""
        for stream in STREAMS:
            while self._books[stream].waiting:
                self._drop_oldest(stream, reason)

    def take_drops(self) -> list[Drop]:
        """Drops since the last call, in order."""
        drops, self._drops = self._drops, []
        return drops

    @property
    def idle(self) -> bool:
        """Whether no frame is on its way."""
        return not self._in_flight and not any(
            book.waiting or book.unread for book in self._books.values()
        )

    def totals(self) -> dict[Stream, Totals]:
        """The books by stream; `pending` is counted, not computed."""
        return {stream: self._totals(stream) for stream in STREAMS}

    def _totals(self, stream: Stream) -> Totals:
        book = self._books[stream]
        pending = book.unread + len(book.waiting) + len(self.in_flight(stream))
        return Totals(
            offered=book.offered, delivered=book.delivered, dropped=book.dropped, pending=pending
        )

    def _drop_oldest(self, stream: Stream, reason: DropReason = "queue_full") -> None:
        other: Stream = "val" if stream == "train" else "train"
        book = self._books[stream] if self._books[stream].waiting else self._books[other]
        frame = book.waiting.popleft()
        self.waiting_bytes -= frame.nbytes
        self._count_drop(frame.stream, frame.fseq, reason)

    def _count_drop(self, stream: Stream, fseq: int, reason: DropReason) -> None:
        self._books[stream].dropped += 1
        self._drops.append(Drop(stream, fseq, reason))
