"""Frames on their way: waiting for credit, sent and not yet confirmed, delivered, dropped."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from shared.codec import Buffer
from shared.messages import DropReason, Stream, Totals
from shared.sequences import RangeSet

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

    Every frame is in one place at a time: unread (its tensors are not copied yet), waiting,
    in flight, or counted as delivered or dropped; `totals` counts each place by itself.
    """

    def __init__(self, budget_bytes: int) -> None:
        self._budget_bytes = budget_bytes
        self._books: dict[Stream, _StreamBook] = {stream: _StreamBook() for stream in STREAMS}
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
        book.waiting[frame.fseq] = frame
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
                frame = next(iter(waiting.values()))
                affordable = frame.nbytes <= self._credit_bytes or not self.any_in_flight
                return frame if affordable else None
        return None

    def sent(self, frame: PendingFrame) -> None:
        """Note that the frame from `next_frame` was handed to the socket."""
        book = self._books[frame.stream]
        del book.waiting[frame.fseq]
        self.waiting_bytes -= frame.nbytes
        self._credit_bytes -= frame.nbytes
        book.in_flight[frame.fseq] = frame

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
            if book.in_flight.pop(fseq, None) is not None:
                book.delivered += 1
            elif (frame := book.waiting.pop(fseq, None)) is not None:
                self.waiting_bytes -= frame.nbytes
                book.delivered += 1

    def reconnected(self, credit_bytes: int) -> None:
        """Start with fresh credit; what was in flight and is not confirmed goes again."""
        self._credit_bytes = credit_bytes
        for book in self._books.values():
            for fseq in sorted(book.in_flight, reverse=True):
                frame = book.in_flight[fseq]
                book.waiting[fseq] = frame
                book.waiting.move_to_end(fseq, last=False)
                self.waiting_bytes += frame.nbytes
            book.in_flight.clear()

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
                fseq, _ = in_flight.popitem(last=False)
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

    def totals(self) -> dict[Stream, Totals]:
        """The books by stream; `pending` is counted, not computed."""
        return {stream: book.totals() for stream, book in self._books.items()}

    def drops(self) -> dict[Stream, dict[str, int]]:
        """Why frames were dropped, by stream and reason."""
        return {stream: dict(book.reasons) for stream, book in self._books.items()}

    def _drop_oldest(self, stream: Stream, reason: DropReason = "queue_full") -> None:
        other: Stream = "val" if stream == "train" else "train"
        book = self._books[stream] if self._books[stream].waiting else self._books[other]
        _, frame = book.waiting.popitem(last=False)
        self.waiting_bytes -= frame.nbytes
        self._count_drop(frame.stream, frame.fseq, reason)

    def _count_drop(self, stream: Stream, fseq: int, reason: DropReason) -> None:
        book = self._books[stream]
        book.dropped += 1
        book.reasons[reason] += 1
        self._drops.append(Drop(stream, fseq, reason))
