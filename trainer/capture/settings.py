"""Bounds of capturing on a device."""

from dataclasses import dataclass
from typing import Self

from trainer.limits import MIB, Limits


@dataclass(frozen=True)
class CaptureSettings:
    """How much pinned host memory copies from a device may use.

    Attributes
    ----------
    slot_count
        Frames whose copies may be under way or unread at once; beyond it a frame is dropped
        (``no_slot``), its scalars are not.
    pinned_bytes
        Most pinned bytes, those for scalars included.
    """

    slot_count: int = 16
    pinned_bytes: int = Limits.pinned_mib * MIB

    @classmethod
    def within(cls, limits: Limits) -> Self:
        """Settings whose bounds are those of `limits`."""
        return cls(pinned_bytes=limits.pinned_mib * MIB)
