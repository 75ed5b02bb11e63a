"""How much memory and disk the sidecar may take on the training side."""

from dataclasses import dataclass, fields
from typing import Final

from shared.errors import ConfigurationError

MIB: Final = 1 << 20
MOST_MIB: Final = 1 << 20
_RGB_PAIR: Final = 6


@dataclass(frozen=True)
class Limits:
    """Bounds in MiB (2**20 bytes). What is beyond them is dropped and counted; training goes on.

    Attributes
    ----------
    capture_mib : int
        Tensors of batches that wait to be copied; beyond it the oldest waiting frame is dropped.
    pinned_mib : int
        Page-locked host memory for frames that are copied from a GPU; beyond it a new one is
        dropped. Scalars take 512 bytes a waiting batch besides, 32 MiB at most.
    queue_mib : int
        Copied frames that wait for the analyzer or are on their way to it; beyond it the oldest
        waiting frame of the stream is dropped.
    unacked_mib : int
        Scalars and events that the analyzer has not committed; beyond it they wait in the
        journal alone.
    journal_mib : int
        The journal file. Frames get a quarter of it at most; when scalars and events have filled
        the rest, further ones wait in memory, and beyond that they are lost and counted. A
        recording that was asked for has no such bound.

    Raises
    ------
    ConfigurationError
        If one is no whole number from 1 to 1,048,576 (a TiB).
    """

    capture_mib: int = 256
    pinned_mib: int = 256
    queue_mib: int = 256
    unacked_mib: int = 64
    journal_mib: int = 4096

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self)):
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= MOST_MIB:
                raise ConfigurationError(
                    f"{name} must be a whole number from 1 to {MOST_MIB:,}, got {value!r}"
                )

    def check_frame(self, frame_samples: int, tile_size: int) -> None:
        """Raise `ConfigurationError` where a bound is smaller than the images of one frame."""
        least = frame_samples * tile_size**2 * _RGB_PAIR
        pinned = 1 << (least - 1).bit_length()  # what is pinned is rounded up to a power of two
        for name, nbytes in (("capture_mib", least), ("pinned_mib", pinned), ("queue_mib", least)):
            if getattr(self, name) * MIB < nbytes:
                raise ConfigurationError(
                    f"{name} {getattr(self, name)} is too small for a single frame: "
                    f"{frame_samples} tiles of {tile_size} pixels take {nbytes / MIB:.1f} MiB; "
                    f"raise it (--{name.replace('_', '-')}) or show fewer tiles (--frame-samples)"
                )
