"""Where the training thread leaves what it hands over: no lock, no system call."""

from collections import deque
from dataclasses import dataclass
from typing import Final

from shared.messages import EpochEnded, Stream
from trainer.publish.contract import BatchKeys, Capture

# What a batch takes in memory besides its tensors: objects, keys, ten scalars.
ITEM_BYTES: Final = 2048
LEAST_ITEMS: Final = 1024


@dataclass(slots=True)
class Handed:
    """One batch as it was handed over; `fseq` is None when it offers no frame.

    `evicted` is set by the putting thread, `done` by the taking thread; each only ever
    turns true.
    """

    keys: BatchKeys
    capture: Capture
    captured_at_ns: int
    fseq: int | None
    nbytes: int
    evicted: bool = False
    done: bool = False


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
    """

    def __init__(self, budget_bytes: int, *, batches_bytes: int = 64 << 20) -> None:
        self._budget_bytes = budget_bytes
        self._most_items = max(LEAST_ITEMS, batches_bytes // ITEM_BYTES)
        self._items: deque[Handed | EpochEnded] = deque()
        self._holding: deque[Handed] = deque()
        self._held_bytes = 0
        self._next_fseq: dict[Stream, int] = {"train": 1, "val": 1}
        self.not_taken = 0

    def put_batch(self, keys: BatchKeys, capture: Capture, captured_at_ns: int) -> bool:
        """Leave a batch (putting thread); False when it cannot be taken."""
        if len(self._items) >= self._most_items:
            return False
        nbytes = capture.nbytes
        fseq = self._number(keys.phase) if nbytes else None
        handed = Handed(keys, capture, captured_at_ns, fseq, nbytes + ITEM_BYTES)
        self._items.append(handed)
        if nbytes:
            self._hold(handed)
        return True

    def put_event(self, event: EpochEnded) -> bool:
        """Leave an event (putting thread); False when it cannot be taken."""
        if len(self._items) >= self._most_items:
            return False
        self._items.append(event)
        return True

    def take(self) -> Handed | EpochEnded | None:
        """Oldest item, or None (taking thread)."""
        try:
            return self._items.popleft()
        except IndexError:
            return None

    def __len__(self) -> int:
        return len(self._items)

    def holds(self, handed: Handed) -> bool:
        """Whether the budget is large enough for this one frame."""
        return handed.nbytes <= self._budget_bytes

    def _number(self, stream: Stream) -> int:
        fseq = self._next_fseq[stream]
        self._next_fseq[stream] = fseq + 1
        return fseq

    def _hold(self, handed: Handed) -> None:
        self._holding.append(handed)
        self._held_bytes += handed.nbytes
        while self._holding and self._holding[0].done:
            self._held_bytes -= self._holding.popleft().nbytes
        while self._held_bytes > self._budget_bytes:
            oldest = self._holding.popleft()
            self._held_bytes -= oldest.nbytes
            oldest.evicted = True
            oldest.capture.drop_frame()
