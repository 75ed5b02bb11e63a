"""Host buffers for copies from a device: few large pieces of pinned memory, used again."""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from torch import Tensor

from trainer.capture.device_events import Event

log = logging.getLogger(__name__)

_LEAST_BYTES: Final = 512
_SLAB_BYTES: Final = 32 << 20


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

    Pinning takes a lock of the driver and may hold up the device, so it is done seldom: slots are
    cut from slabs. Sizes are powers of two, as PyTorch rounds what it pins up to those. It never
    gives pinned memory back either: slots that became too small go on counting.

    `reserve` and `acquire` are called on the training thread only; `release` on any thread.

    Parameters
    ----------
    allocate : callable
        ``allocate(nbytes)`` makes a flat uint8 buffer (pinned memory).
    count : int
        Most slots.
    total_bytes : int
        Most bytes in all slabs.
    slab_bytes : int
        Largest slab that holds more than one slot.
    give_back : callable, optional
        Gets each event that is done and was asked for the last time.
    """

    def __init__(
        self,
        allocate: Callable[[int], Tensor],
        *,
        count: int,
        total_bytes: int,
        slab_bytes: int = _SLAB_BYTES,
        give_back: Callable[[Event], None] | None = None,
    ) -> None:
        self._allocate = allocate
        self._count = count
        self._total_bytes = total_bytes
        self._slab_bytes = slab_bytes
        self._give_back = give_back
        self._slots = 0
        self._bytes = 0
        self._free: deque[Slot] = deque()
        self._released: deque[Slot] = deque()

    @property
    def allocated_bytes(self) -> int:
        """Bytes of all slabs that were made."""
        return self._bytes

    def reserve(self, nbytes: int) -> None:
        """Make slots of at least `nbytes` ahead of time."""
        if not any(slot.buffer.nbytes >= nbytes for slot in self._free):
            self._add_slab(nbytes)

    def acquire(self, nbytes: int) -> Slot | None:
        """A free slot of at least `nbytes`, or None when there is none."""
        self._collect()
        slot = self._take(nbytes)
        if slot is None:
            self._add_slab(nbytes)
            slot = self._take(nbytes)
        return slot

    def release(self, slot: Slot) -> None:
        """Give a slot back; it is used again once its copy is done, and not before."""
        self._released.append(slot)

    def _take(self, nbytes: int) -> Slot | None:
        for slot in self._free:
            if slot.buffer.nbytes >= nbytes:
                self._free.remove(slot)
                return slot
        return None

    def _collect(self) -> None:
        for _ in range(len(self._released)):
            slot = self._released.popleft()
            if slot.event is not None and not slot.event.query():
                self._released.append(slot)
                continue
            if slot.event is not None and self._give_back is not None:
                self._give_back(slot.event)
            slot.event, slot.sources = None, None
            self._free.append(slot)

    def _add_slab(self, nbytes: int) -> None:
        size = power_of_two(max(nbytes, _LEAST_BYTES))
        room = min(
            self._count - self._slots + len(self._free),
            (self._total_bytes - self._bytes) // size,
            max(1, self._slab_bytes // size),
        )
        if room < 1:
            return
        number = 1 << (room.bit_length() - 1)
        try:
            slab = self._allocate(number * size)
        except Exception:  # asking the driver again in every step would hold training up
            log.exception("no page-locked memory for copies from the device; what needs it is lost")
            self._total_bytes = self._bytes
            return
        self._bytes += number * size
        self._slots += number - self._forget(self._slots + number - self._count)
        self._free.extend(Slot(slab[i * size : (i + 1) * size]) for i in range(number))

    def _forget(self, number: int) -> int:
        """Let go of `number` free slots: they are too small."""
        for _ in range(number):
            self._free.popleft()
        return max(0, number)


def power_of_two(nbytes: int) -> int:
    """The smallest power of two that is not less than `nbytes`.

    Examples
    --------
    >>> [power_of_two(nbytes) for nbytes in (1, 512, 513)]
    [1, 512, 1024]
    """
    return 1 << max(0, nbytes - 1).bit_length()
