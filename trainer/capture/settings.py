"""Bounds of capturing on a device."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class CaptureSettings:
    """How much pinned host memory copies from a device may use.

    Attributes
    ----------
    slot_count
        Frames whose copies may be under way or unread at once; beyond it a frame is dropped
        (``no_slot``), its scalars are not.
    slot_bytes
        Most pinned bytes in all slots.
    """

    slot_count: int = 16
    slot_bytes: int = 256 * MIB
