"""Chooses how steps are captured: by where they run."""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from shared.messages import DropReason
from trainer.capture.cpu import CpuCapture, CpuReader
from trainer.capture.cuda import CudaCapturer
from trainer.capture.held import Held, Kept
from trainer.capture.outputs import as_number, as_scalar, name_scalars
from trainer.capture.samples import name_samples
from trainer.capture.settings import CaptureSettings
from trainer.capture.values import (
    Facts,
    Images,
    LayerParts,
    MapTensors,
    Numbers,
    StepValues,
    Watched,
    layers_that_ran,
)
from trainer.publish.contract import Capture, CaptureLost, FrameArrays, ValuesLost

log = logging.getLogger(__name__)

Capturing = Callable[[Images, list[Kept | None], Numbers, dict[str, Any], Facts], Capture]
"""``capture(images, kept, numbers, logged, facts)`` captures one step, in microseconds on a CPU.

`kept` and `logged` (the user's scalars by name) are taken over.
"""


def capturing(
    device: torch.device, watched: Watched, settings: CaptureSettings | None = None
) -> Capturing:
    """How steps on `device` are captured; what goes wrong with a frame costs that frame only.

    Parameters
    ----------
    device : torch.device
        Where the steps run.
    watched : Watched
        What is the same in every step.
    settings : CaptureSettings, optional
        Bounds for a GPU.
    """
    if device.type == "cpu":
        return partial(CpuCapture, CpuReader(watched))  # it contains its errors itself
    if device.type == "cuda":
        capturer = CudaCapturer(device, settings or CaptureSettings())
        return _Contained(partial(_capture_on_device, capturer, watched))
    return _Contained(partial(_refuse, device))


def _capture_on_device(
    capturer: CudaCapturer,
    watched: Watched,
    images: Images,
    kept: list[Kept | None],
    numbers: Numbers,
    logged: dict[str, Any],
    facts: Facts,
) -> Capture:
    keys, loader_idx, fields, marks = facts
    own = [as_scalar(number) for number in numbers]
    measured = {**watched.times(marks), "memory_mb": watched.memory}
    values = StepValues(
        input=images[0],
        reconstruction=images[1],
        maps=tuple(_maps_of(watched.layers, kept)),
        samples=partial(name_samples, keys, loader_idx, fields),
        frame_samples=watched.frame_samples,
        scalars=measured | name_scalars((own[0], own[1], own[2]), logged),
    )
    return capturer.capture(values)


def _maps_of(layers: Iterable[LayerParts], kept: Sequence[Kept | None]) -> Iterator[MapTensors]:
    for layer in layers_that_ran(layers, kept):
        held = tuple(Held(*part) for i in layer.parts if (part := kept[i]) is not None)
        yield MapTensors(layer.layer, layer.form, held)


def _refuse(device: torch.device, *_: Any) -> Capture:
    raise ValueError(f"steps on {device}: only CPU and CUDA are captured")


class _Contained:
    """Loses the frames of steps that cannot be captured; the first failure is logged."""

    def __init__(self, capture: Capturing) -> None:
        self._capture = capture
        self._said = False

    def __call__(
        self,
        images: Images,
        kept: list[Kept | None],
        numbers: Numbers,
        logged: dict[str, Any],
        facts: Facts,
    ) -> Capture:
        try:
            return self._capture(images, kept, numbers, logged, facts)
        except Exception:
            if not self._said:
                self._said = True
                log.exception("a frame cannot be captured; training goes on without such frames")
            return LostCapture(name_scalars(numbers, logged), "capture_failed")


class LostCapture:
    """A step whose frame is lost before it began; its plain numbers still arrive."""

    def __init__(self, scalars: dict[str, Any], reason: DropReason) -> None:
        self._reason = reason
        on_device = {
            name
            for name, value in scalars.items()
            if isinstance(value, Tensor) and value.device.type != "cpu"
        }
        here = {name: as_number(value) for name, value in scalars.items() if name not in on_device}
        self._scalars = {name: number for name, number in here.items() if number is not None}
        self._all = not on_device
        self.nbytes = 1

    def scalars_ready(self) -> bool:
        """Always."""
        return True

    def ready(self) -> bool:
        """Always."""
        return True

    def scalars(self) -> dict[str, float]:
        """Numbers that need no device; raises `ValuesLost` when there were others."""
        if not self._all:
            raise ValuesLost(self._scalars)
        return self._scalars

    def frame(self) -> FrameArrays:
        """Raises `CaptureLost`."""
        raise CaptureLost(self._reason)

    def drop_frame(self) -> None:
        """Nothing is held."""
