"""Bounds of capturing on a device."""

from dataclasses import dataclass
from typing import Final, Self

from trainer.limits import MIB, Limits

# Images and what maps usually add: they are a quarter to an eighth of a tile a side.
_WITH_MAPS: Final = 1.25


@dataclass(frozen=True)
class CaptureSettings:
    """How much pinned host memory copies from a device may use.

    Attributes
    ----------
    slot_count
        Frames whose copies may be under way or unread at once; beyond it a frame is dropped
        (``no_slot``), its scalars are not.
    pinned_bytes
        Most pinned bytes for frames. (Scalars take 512 bytes a waiting batch besides, at most
        32 MiB.)
    frame_bytes
        What a frame will take, where that is known: its slots are then pinned before training.
    """

    slot_count: int = 16
    pinned_bytes: int = Limits.pinned_mib * MIB
    frame_bytes: int | None = None

    @classmethod
    def within(
        cls, limits: Limits, *, frame_samples: int = 4, tile_size: int | None = None
    ) -> Self:
        """Settings whose bounds are those of `limits`, for frames of that many tiles."""
        images = None if tile_size is None else frame_samples * tile_size**2 * 2 * 3
        return cls(
            pinned_bytes=limits.pinned_mib * MIB,
            frame_bytes=None if images is None else int(images * _WITH_MAPS),
        )
