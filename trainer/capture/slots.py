"""A fixed number of host buffers for copies from a device, made once and used again."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from torch import Tensor


class Event(Protocol):
    """What is needed of ``torch.cuda.Event``."""

    def query(self) -> bool:
        """Whether the device got there; does not wait."""
        ...


@dataclass(slots=True, eq=False)
class Slot:
    """One flat uint8 buffer and the copy that is under way into it.

    `event` is done when the copy is; until then `sources` keeps the device memory that is
    being read. Both are None while the slot is free.
    """

    buffer: Tensor
    event: Event | None = None
    sources: Any = None


class SlotPool:
    """Slots, within a number and a number of bytes; never waits.

    `acquire` is called on the training thread only; `release` on any thread.

    Parameters
    ----------
    allocate : callable
        ``allocate(nbytes)`` makes a flat uint8 buffer (pinned memory).
    count : int
        Most slots.
    total_bytes : int
        Most bytes in all slots.
    """

    def __init__(self, allocate: Callable[[int], Tensor], *, count: int, total_bytes: int) -> None:
        self._allocate = allocate
        self._count = count
        self._total_bytes = total_bytes
        self._made = 0
        self._bytes = 0
        self._free: deque[Slot] = deque()
        self._released: deque[Slot] = deque()

    @property
    def allocated_bytes(self) -> int:
        """Bytes of all slots that were made."""
        return self._bytes

    def acquire(self, nbytes: int) -> Slot | None:
        """A free slot of at least `nbytes`, or None when there is none."""
        self._collect()
        if not self._free and self._made < self._count:
            return self._make(nbytes)
        if not self._free:
            return None
        slot = self._free.popleft()
        return slot if slot.buffer.nbytes >= nbytes else self._enlarge(slot, nbytes)

    def release(self, slot: Slot) -> None:
        """Give a slot back; it is used again once its copy is done, and not before."""
        self._released.append(slot)

    def _collect(self) -> None:
        for _ in range(len(self._released)):
            slot = self._released.popleft()
            if slot.event is not None and not slot.event.query():
                self._released.append(slot)
                continue
            slot.event, slot.sources = None, None
            self._free.append(slot)

    def _make(self, nbytes: int) -> Slot | None:
        if self._bytes + nbytes > self._total_bytes:
            return None
        self._made += 1
        self._bytes += nbytes
        return Slot(self._allocate(nbytes))

    def _enlarge(self, slot: Slot, nbytes: int) -> Slot | None:
        if self._bytes - slot.buffer.nbytes + nbytes > self._total_bytes:
            self._free.append(slot)
            return None
        self._bytes += nbytes - slot.buffer.nbytes
        slot.buffer = self._allocate(nbytes)
        return slot
