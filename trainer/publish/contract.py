"""What capture hands to publish: the keys of a batch and its values, read later.

A capture is made on the training thread, in microseconds, and read on the sender thread.
"""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shared.messages import DropReason, Phase, Sample


@dataclass(slots=True)  # not frozen: that takes four times as long to make, in every step
class BatchKeys:
    """Which batch it is; the fields mean what they mean in `shared.messages.BatchMetrics`."""

    phase: Phase
    epoch: int
    batch_idx: int
    global_step: int
    phase_step: int
    rank: int = 0
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class FrameArrays:
    """Images and maps of the first samples of a batch, ready to be sent.

    `input` and `reconstruction` are uint8 of shape (N, H, W, 3); maps are float32 of shape
    (N, h, w) by layer name.
    """

    input: NDArray[np.uint8]
    reconstruction: NDArray[np.uint8]
    samples: tuple[Sample, ...]
    attention: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    activation: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        maps = [*self.attention.values(), *self.activation.values()]
        return self.input.nbytes + self.reconstruction.nbytes + sum(m.nbytes for m in maps)


class CaptureLost(Exception):
    """A frame cannot be read any more; `reason` is counted in the books."""

    def __init__(self, reason: DropReason) -> None:
        super().__init__(reason)
        self.reason: DropReason = reason


class ValuesLost(Exception):
    """Some scalars of a batch cannot be read any more; `scalars` are those that can."""

    def __init__(self, scalars: dict[str, float]) -> None:
        super().__init__("values of a device are lost")
        self.scalars = scalars


class Capture(Protocol):
    """The values of one batch, held by reference until the sender thread reads them.

    All methods but `drop_frame` are called on the sender thread only.
    """

    @property
    def nbytes(self) -> int:
        """Bytes that the capture keeps alive for its frame; 0 when it has none."""
        ...

    def scalars_ready(self) -> bool:
        """Tell, without waiting, whether `scalars` may be read (a device copy is done)."""
        ...

    def scalars(self) -> dict[str, float]:
        """Scalars by name: `BatchMetrics`' own fields and any of the user's.

        Raises `ValuesLost` when some of them are lost.
        """
        ...

    def ready(self) -> bool:
        """Tell, without waiting, whether `frame` may be read and trusted."""
        ...

    def frame(self) -> FrameArrays:
        """Images and maps; raises `CaptureLost` when they may no longer be right."""
        ...

    def drop_frame(self) -> None:
        """Let go of images and maps; the scalars stay. Any thread may call it."""
        ...
