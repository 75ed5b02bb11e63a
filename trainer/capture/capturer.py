"""Chooses how a step is captured: by where its tensors are."""

import logging

import torch
from torch import Tensor

from shared.messages import DropReason
from trainer.capture.cpu import CpuCapture, CpuReader
from trainer.capture.cuda import CudaCapturer
from trainer.capture.settings import CaptureSettings
from trainer.capture.values import StepValues
from trainer.publish.contract import Capture, CaptureLost, FrameArrays

log = logging.getLogger(__name__)


class Capturer:
    """Makes captures; nothing that goes wrong with a frame reaches the training step.

    `failures` counts frames that could not be captured; the first one is logged.
    """

    def __init__(self, settings: CaptureSettings | None = None) -> None:
        self._settings = settings or CaptureSettings()
        self._reader = CpuReader()
        self._devices: dict[torch.device, CudaCapturer] = {}
        self.failures = 0

    def capture(self, values: StepValues) -> Capture:
        """Capture one step (training thread, microseconds on a CPU)."""
        try:
            return self._capture(values)
        except Exception:
            self.failures += 1
            if self.failures == 1:
                log.exception("a frame cannot be captured; further ones are counted")
            return LostCapture(values, "capture_failed")

    def _capture(self, values: StepValues) -> Capture:
        device = _device_of(values)
        if device.type == "cpu":
            return CpuCapture(values, self._reader)
        if device.type != "cuda":
            raise ValueError(f"tensors on {device}: only CPU and CUDA tensors are captured")
        if device not in self._devices:
            self._devices[device] = CudaCapturer(device, self._settings)
        return self._devices[device].capture(values)


class LostCapture:
    """A step whose frame is lost before it began; its plain numbers still arrive."""

    def __init__(self, values: StepValues, reason: DropReason) -> None:
        self._reason = reason
        self._scalars = {
            name: float(scalar)
            for name, scalar in values.scalars.items()
            if isinstance(scalar, (int, float))
            or (isinstance(scalar, Tensor) and scalar.device.type == "cpu")
        }
        self.nbytes = 1

    def ready(self) -> bool:
        """Always."""
        return True

    def scalars(self) -> dict[str, float]:
        """Numbers that need no device."""
        return self._scalars

    def frame(self) -> FrameArrays:
        """Raises `CaptureLost`."""
        raise CaptureLost(self._reason)

    def drop_frame(self) -> None:
        """Nothing is held."""


def _device_of(values: StepValues) -> torch.device:
    """Device of the first tensor that is not on the CPU, else the CPU."""
    tensors = [values.input, values.reconstruction]
    tensors += [held.tensor for layer in values.maps for held in layer.held]
    tensors += [scalar for scalar in values.scalars.values() if isinstance(scalar, Tensor)]
    for tensor in tensors:
        if tensor is not None and tensor.device.type != "cpu":
            return tensor.device
    return torch.device("cpu")
