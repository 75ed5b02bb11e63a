"""What one training or validation step leaves behind, before anything is copied."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from torch import Tensor

from shared.messages import Sample
from trainer.capture.held import Held
from trainer.publish.contract import BatchKeys

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

Fields = dict[str, Any]
"""What a batch says of its samples, by `shared.messages.Sample`'s field; see `samples`."""

Marks = tuple[Any, Any, Any, Any, float | None]
"""A step's start and end, its forward pass' start and end, and seconds that its data took.

Marks of a `trainer.capture.timing.Clock`, or None for what was not seen.
"""


@dataclass(frozen=True, slots=True)
class LayerParts:
    """A watched layer, and where its tensors are found.

    Attributes
    ----------
    layer : str
        Name in messages and metric keys.
    form : {"bam", "gate", "activation"}
        ``bam``: the channel branch (N, C) and the spatial branch (N, H, W), whose map is
        ``mean_k sigmoid(c_k + s_ij)``; ``gate``: a gate (N, H, W) or (N, C, H, W), whose map
        is its mean over channels; ``activation``: an activation (N, C, H, W), whose map is
        the mean of its absolute value over channels.
    parts : tuple of int
        Places of its tensors in what `trainer.capture.gates.Taps.take` returns.
    """

    layer: str
    form: MapForm
    parts: tuple[int, ...]


Images = tuple[Tensor | None, Tensor | None]
"""Input and reconstruction, (N, C, H, W): C of 1 or 3; float in [0, 1], or uint8."""

Numbers = tuple[Any, Any, Any]
"""Loss, mse and learning rate, whatever was given as such; None where nothing was."""

Facts = tuple[BatchKeys, int, Fields | None, Marks]
"""Which batch it was, which loader it came from, what it said of its samples, and when it ran.

A plain tuple, like `Images`: the training thread makes one in every step, and a class of one's
own takes microseconds.
"""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is the same in every step of a fit.

    Attributes
    ----------
    layers : tuple of LayerParts
        The watched layers.
    frame_samples : int
        How many samples go into a frame.
    times : callable
        ``times(marks)`` gives a step's times by name; any thread may ask.
    memory : Reading
        Memory in MiB, read when it is asked for.
    """

    layers: tuple[LayerParts, ...]
    frame_samples: int
    times: Callable[[Marks], dict[str, Scalar]]
    memory: Reading


class MapTensors(NamedTuple):
    """Tensors that one layer's map is made of.

    Attributes
    ----------
    layer : str
        Name in messages and metric keys.
    form : {"bam", "gate", "activation"}
        What it is made of; see `LayerParts`.
    held : tuple of Held
        The tensors, each with its version as the layer returned it.
    """

    layer: str
    form: MapForm
    held: tuple[Held, ...]


class StepValues(NamedTuple):
    """One step on a device, as the training thread knows it at the step's end.

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


def layers_that_ran(
    layers: Iterable[LayerParts], kept: Sequence[object | None]
) -> list[LayerParts]:
    """Layers of which every module returned something."""
    return [each for each in layers if all(kept[i] is not None for i in each.parts)]
