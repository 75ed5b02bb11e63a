"""What one training or validation step leaves behind, before anything is copied.

Named tuples rather than frozen dataclasses: the training thread makes them in every step, and
they are made several times as fast.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from torch import Tensor

from shared.messages import Sample
from trainer.capture.held import Held

MapForm = Literal["bam", "gate", "activation"]


class Reading(Protocol):
    """A number that is there later: the time between two device events."""

    def ready(self) -> bool:
        """Whether the number is there; does not wait."""
        ...

    def value(self) -> float:
        """The number, once `ready` said yes."""
        ...


Scalar = float | Tensor | Reading


class MapTensors(NamedTuple):
    """Tensors that one layer's map is made of.

    Attributes
    ----------
    layer : str
        Name in messages and metric keys.
    form : {"bam", "gate", "activation"}
        ``bam``: the channel branch (N, C) and the spatial branch (N, H, W), whose map is
        ``mean_k sigmoid(c_k + s_ij)``; ``gate``: a gate (N, H, W) or (N, C, H, W), whose map
        is its mean over channels; ``activation``: an activation (N, C, H, W), whose map is
        the mean of its absolute value over channels.
    held : tuple of Held
        The tensors, each with its version as the layer returned it.
    """

    layer: str
    form: MapForm
    held: tuple[Held, ...]


class StepValues(NamedTuple):
    """One step as the training thread knows it at the step's end.

    Attributes
    ----------
    input, reconstruction : Tensor of shape (N, C, H, W) or None
        C of 1 or 3; float in [0, 1], or uint8.
    maps : tuple of MapTensors
        Watched layers that ran in this step.
    samples : callable
        ``samples(n)`` names the first n samples; called on the sender thread.
    frame_samples : int
        How many samples go into the frame.
    scalars : dict
        Numbers by name; tensors hold one element.
    """

    input: Tensor | None
    reconstruction: Tensor | None
    maps: tuple[MapTensors, ...]
    samples: Callable[[int], tuple[Sample, ...]]
    frame_samples: int
    scalars: dict[str, Scalar]
