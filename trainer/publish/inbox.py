"""Where the training thread leaves what it hands over: no lock, no system call."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from shared.messages import EpochEnded, Stream
from trainer.publish.contract import BatchKeys, Capture

# What a batch takes in memory besides its tensors: objects, keys, ten scalars.
ITEM_BYTES: Final = 2048
LEAST_ITEMS: Final = 1024


@dataclass(frozen=True, slots=True)
class Handed:
    """One batch that was taken over; `fseq` is None and `nbytes` 0 when it offers no frame.

    `place` is where the inbox holds its frame.
    """

    keys: BatchKeys
    capture: Capture
    captured_at_ns: int
    nbytes: int
    place: int
    fseq: int | None


_Put = tuple[BatchKeys, Capture, int, int, int]


class Inbox:
    """Bounded by bytes: over the budget, the oldest frames are let go, never their scalars.

    One thread puts, one other takes. Each field is written by one of them only, and
    ``deque`` operations are atomic, so neither ever waits for the other.

    Parameters
    ----------
    budget_bytes : int
        Most bytes that may be held for frames.
    batches_bytes : int
        Most bytes of batches that may lie here, at `ITEM_BYTES` each (1024 of them fit in any
        case); a sender that stands still for so long (a disk that hangs) is the one case in
        which a batch is not taken.

    Attributes
    ----------
    not_taken : int
        Batches and events that were handed over in vain; counted by the putting thread.
    closed : bool
        Set by the taking thread when it takes nothing more.
    """

    def __init__(self, budget_bytes: int, *, batches_bytes: int = 64 << 20) -> None:
        self._budget_bytes = budget_bytes
        self._most_items = max(LEAST_ITEMS, batches_bytes // ITEM_BYTES)
        self._items: deque[_Put | EpochEnded] = deque()
        # Frames by their place among all items. Either thread may take one out; ``pop`` is
        # atomic, so one of them gets it, and gives its bytes back.
        self._holding: dict[int, tuple[Capture, int]] = {}
        self._place = 0
        # Nothing is held up to here: as far as the putting thread let go, and the taking thread.
        self._let_go = 0
        self._behind = 0
        self._put_bytes = 0
        self._done_bytes = 0
        self._next_fseq: dict[Stream, int] = {"train": 1, "val": 1}
        self.not_taken = 0
        self.closed = False

    def put_batch(self, keys: BatchKeys, capture: Capture, captured_at_ns: int) -> bool:
        """Leave a batch (putting thread); False when it cannot be taken."""
        if self.closed or len(self._items) >= self._most_items:
            return False
        nbytes = capture.nbytes
        self._place = place = self._place + 1
        if nbytes:
            nbytes += ITEM_BYTES
            self._holding[place] = capture, nbytes
            self._put_bytes += nbytes
            if self._put_bytes - self._done_bytes > self._budget_bytes:
                self._evict()
        self._items.append((keys, capture, captured_at_ns, nbytes, place))
        return True

    def put_event(self, event: EpochEnded) -> bool:
        """Leave an event (putting thread); False when it cannot be taken."""
        if self.closed or len(self._items) >= self._most_items:
            return False
        self._place += 1
        self._items.append(event)
        return True

    def take(self) -> Handed | EpochEnded | None:
        """Oldest item, or None; its frame gets the next number of its stream (taking thread)."""
        try:
            item = self._items.popleft()
        except IndexError:
            return None
        if isinstance(item, EpochEnded):
            return item
        return Handed(*item, fseq=self._number(item[0].phase) if item[3] else None)

    def done(self, handed: Handed) -> None:
        """Note that a batch is read: its frame is held no more (taking thread)."""
        if handed.fseq is None:
            return
        if held := self._holding.pop(handed.place, None):
            self._done_bytes += held[1]
        while self._behind < handed.place and self._behind + 1 not in self._holding:
            self._behind += 1

    @property
    def handed_over(self) -> int:
        """How many batches and events were taken, since the beginning."""
        return self._place

    def holds(self, handed: Handed) -> bool:
        """Whether the budget is large enough for this one frame; else it was let go at once."""
        return handed.nbytes <= self._budget_bytes

    def _number(self, stream: Stream) -> int:
        fseq = self._next_fseq[stream]
        self._next_fseq[stream] = fseq + 1
        return fseq

    def _evict(self) -> None:
        """Let go of the oldest frames; each place is passed once by each thread."""
        place = max(self._let_go, self._behind)
        while place < self._place and self._put_bytes - self._done_bytes > self._budget_bytes:
            place += 1
            held = self._holding.pop(place, None)
            if held is not None:
                self._put_bytes -= held[1]
                held[0].drop_frame()
        self._let_go = place
