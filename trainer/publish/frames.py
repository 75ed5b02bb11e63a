"""Frames on their way: waiting for credit, sent and not yet confirmed, delivered, dropped."""

import logging
from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, takewhile
from typing import Final

from shared.codec import Buffer
from shared.messages import DropReason, Stream, Totals
from shared.sequences import RangeSet

log = logging.getLogger(__name__)

STREAMS: tuple[Stream, ...] = ("train", "val")
# What a frame takes in memory besides its bytes.
FRAME_OVERHEAD_BYTES: Final = 2048
_MOST_IN_FLIGHT: Final = 0.5


@dataclass(slots=True)
class PendingFrame:
    """An encoded frame that is not confirmed yet."""

    stream: Stream
    fseq: int
    parts: list[Buffer]
    captured_at_ns: int
    nbytes: int
    journaled: bool = False

    @property
    def held_bytes(self) -> int:
        """Bytes of memory that keeping it takes."""
        return self.nbytes + FRAME_OVERHEAD_BYTES


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
    waiting_bytes: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    waiting: OrderedDict[int, PendingFrame] = field(default_factory=OrderedDict)
    in_flight: OrderedDict[int, PendingFrame] = field(default_factory=OrderedDict)

    def totals(self) -> Totals:
        pending = self.unread + len(self.waiting) + len(self.in_flight)
        return Totals(
            offered=self.offered, delivered=self.delivered, dropped=self.dropped, pending=pending
        )


class FrameWindow:
    """Frames by stream, within a byte budget and the analyzer's credit.

    The budget holds what waits and what is in flight, of which the latter takes half at most
    (or is one frame), so that there is room for new frames whatever credit the analyzer gives.

    Every frame is in one place at a time: unread (its tensors are not copied yet), waiting,
    in flight, or counted as delivered or dropped; `totals` counts each place by itself.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._books: dict[Stream, _StreamBook] = {stream: _StreamBook() for stream in STREAMS}
        self._drops: list[Drop] = []
        self._credit_bytes = 0
        self._in_flight_bytes = 0
        self._too_large_said = False

    def offer(self, stream: Stream) -> None:
        """Count a frame that was offered; its tensors are not read yet."""
        book = self._books[stream]
        book.offered += 1
        book.unread += 1

    def encoded(self, frame: PendingFrame) -> None:
        """Take an offered frame in its wire form; over the budget, drop the oldest."""
        book = self._books[frame.stream]
        book.unread -= 1
        if frame.held_bytes > self._budget_bytes:
            self._say_too_large(frame)
            self._count_drop(frame.stream, frame.fseq, "too_large")
            return
        book.waiting[frame.fseq] = frame
        book.waiting_bytes += frame.held_bytes
        while self.held_bytes > self._budget_bytes:
            self._drop_oldest(self._fullest(), "queue_full")

    def unreadable(self, stream: Stream, fseq: int, reason: DropReason) -> None:
        """Count an offered frame as dropped before it could be read."""
        self._books[stream].unread -= 1
        self._count_drop(stream, fseq, reason)

    def next_frame(self) -> PendingFrame | None:
        """The frame that goes next, if the credit allows it: validation before training."""
        for stream in reversed(STREAMS):
            waiting = self._books[stream].waiting
            if waiting:
                frame = next(iter(waiting.values()))
                return frame if self._may_fly(frame) else None
        return None

    def sent(self, frame: PendingFrame) -> None:
        """Note that the frame from `next_frame` was handed to the socket."""
        book = self._books[frame.stream]
        del book.waiting[frame.fseq]
        book.waiting_bytes -= frame.held_bytes
        self._credit_bytes -= frame.nbytes
        book.in_flight[frame.fseq] = frame
        self._in_flight_bytes += frame.held_bytes

    def credit(self, credit_bytes: int) -> None:
        """Add returned credit."""
        self._credit_bytes += credit_bytes

    def confirm(self, stream: Stream, numbers: RangeSet) -> None:
        """Count those of `numbers` that are held as delivered, however many there are of each."""
        book = self._books[stream]
        held = len(book.in_flight) + len(book.waiting)
        if len(numbers) <= held:
            self.delivered(stream, numbers)
        else:
            self.delivered(
                stream, [fseq for fseq in (*book.in_flight, *book.waiting) if fseq in numbers]
            )

    def delivered(self, stream: Stream, fseqs: Iterable[int]) -> None:
        """Count frames that the analyzer has, also such as were about to be sent again."""
        book = self._books[stream]
        for fseq in fseqs:
            if (frame := book.in_flight.pop(fseq, None)) is not None:
                self._in_flight_bytes -= frame.held_bytes
            elif (frame := book.waiting.pop(fseq, None)) is not None:
                book.waiting_bytes -= frame.held_bytes
            book.delivered += frame is not None

    def reconnected(self, credit_bytes: int) -> None:
        """Start with fresh credit; what was in flight and is not confirmed goes again."""
        self._credit_bytes = credit_bytes
        for book in self._books.values():
            for fseq in sorted(book.in_flight, reverse=True):
                frame = book.in_flight[fseq]
                book.waiting[fseq] = frame
                book.waiting_bytes += frame.held_bytes
                book.waiting.move_to_end(fseq, last=False)
            book.in_flight.clear()
        self._in_flight_bytes = 0

    @property
    def any_in_flight(self) -> bool:
        """Whether any frame was sent and is not confirmed."""
        return any(book.in_flight for book in self._books.values())

    def in_flight(self, stream: Stream) -> list[int]:
        """Numbers of the frames that were sent and are not confirmed."""
        return list(self._books[stream].in_flight)

    def unconfirmed(self) -> Iterator[PendingFrame]:
        """Every encoded frame that is in flight or waiting."""
        for book in self._books.values():
            yield from book.in_flight.values()
        for book in self._books.values():
            yield from book.waiting.values()

    def unjournaled(self) -> list[PendingFrame]:
        """Encoded frames that stand in no file, each stream's oldest first.

        Frames are written in order, so they are the last ones of their stream: no time is spent
        on those before them, however many wait.
        """
        found: list[PendingFrame] = []
        for book in self._books.values():
            newest_first = chain(reversed(book.waiting.values()), reversed(book.in_flight.values()))
            found += reversed(list(takewhile(lambda frame: not frame.journaled, newest_first)))
        return found

    def drop_waiting(self, reason: DropReason) -> None:
        """Drop every frame that was not sent."""
        for stream in STREAMS:
            while self._books[stream].waiting:
                self._drop_oldest(stream, reason)

    def drop_in_flight(self, reason: DropReason) -> None:
        """Drop every frame that was sent and not confirmed."""
        for stream in STREAMS:
            in_flight = self._books[stream].in_flight
            while in_flight:
                fseq, frame = in_flight.popitem(last=False)
                self._in_flight_bytes -= frame.held_bytes
                self._count_drop(stream, fseq, reason)

    def take_drops(self) -> list[Drop]:
        """Drops since the last call, in order."""
        drops, self._drops = self._drops, []
        return drops

    @property
    def idle(self) -> bool:
        """Whether no frame is on its way."""
        return not any(
            book.waiting or book.in_flight or book.unread for book in self._books.values()
        )

    @property
    def held_bytes(self) -> int:
        """Memory that the encoded frames take."""
        return self._in_flight_bytes + sum(book.waiting_bytes for book in self._books.values())

    def totals(self) -> dict[Stream, Totals]:
        """The books by stream; `pending` is counted, not computed."""
        return {stream: book.totals() for stream, book in self._books.items()}

    def drops(self) -> dict[Stream, dict[str, int]]:
        """Why frames were dropped, by stream and reason."""
        return {stream: dict(book.reasons) for stream, book in self._books.items()}

    def _may_fly(self, frame: PendingFrame) -> bool:
        if not self.any_in_flight:
            return True
        in_flight_bytes = self._in_flight_bytes + frame.held_bytes
        return (
            frame.nbytes <= self._credit_bytes
            and in_flight_bytes <= _MOST_IN_FLIGHT * self._budget_bytes
        )

    def _say_too_large(self, frame: PendingFrame) -> None:
        if not self._too_large_said:
            self._too_large_said = True
            log.warning(
                "a frame of %d bytes is larger than the queue of %d bytes (queue_mib); such "
                "frames are dropped and counted, training goes on",
                *(frame.nbytes, self._budget_bytes),
            )

    def _fullest(self) -> Stream:
        """The stream of which most is waiting: neither crowds the other out."""
        return max(STREAMS, key=lambda stream: self._books[stream].waiting_bytes)

    def _drop_oldest(self, stream: Stream, reason: DropReason) -> None:
        book = self._books[stream]
        _, frame = book.waiting.popitem(last=False)
        book.waiting_bytes -= frame.held_bytes
        self._count_drop(frame.stream, frame.fseq, reason)

    def _count_drop(self, stream: Stream, fseq: int, reason: DropReason) -> None:
        book = self._books[stream]
        book.dropped += 1
        book.reasons[reason] += 1
        self._drops.append(Drop(stream, fseq, reason))
