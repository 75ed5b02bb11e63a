"""Chooses how steps are captured: by where they run."""

import logging

import torch
from torch import Tensor

from shared.messages import DropReason
from trainer.capture.cpu import CpuCapture, CpuReader
from trainer.capture.cuda import CudaCapturer
from trainer.capture.settings import CaptureSettings
from trainer.capture.values import StepValues
from trainer.publish.contract import Capture, CaptureLost, FrameArrays, ValuesLost

log = logging.getLogger(__name__)


class Capturer:
    """Makes captures; nothing that goes wrong with a frame reaches the training step.

    Parameters
    ----------
    device : torch.device
        Where the steps run.
    settings : CaptureSettings, optional
        Bounds for a GPU.

    Attributes
    ----------
    failures : int
        Frames that could not be captured; the first one is logged.
    """

    def __init__(self, device: torch.device, settings: CaptureSettings | None = None) -> None:
        self._device = device
        self._reader = CpuReader()
        self._cuda = (
            CudaCapturer(device, settings or CaptureSettings()) if device.type == "cuda" else None
        )
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
        if self._cuda is not None:
            return self._cuda.capture(values)
        if self._device.type != "cpu":
            raise ValueError(f"steps on {self._device}: only CPU and CUDA are captured")
        return CpuCapture(values, self._reader)


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
        self._all = len(self._scalars) == len(values.scalars)
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
