"""Device tensors of a step that the next one overwrites, and what a capture of them must show."""

import time
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shared.messages import Sample
from trainer.capture.held import hold
from trainer.capture.maps import bam_gate, to_numpy
from trainer.capture.values import MapTensors, StepValues
from trainer.publish import Capture, FrameArrays
from trainer.publish.arrays import as_uint8_images

DEADLINE_S = 20.0
SAMPLES = 4


class Buffers:
    """One set of device tensors that every step overwrites."""

    def __init__(self, device: torch.device, dtype: torch.dtype = torch.float32) -> None:
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        self.clean = torch.rand(8, 3, 128, 128, device=device)
        self.output = torch.rand(8, 3, 128, 128, **options)
        self.channel = torch.randn(8, 64, **options)
        self.spatial = torch.randn(8, 32, 32, **options)
        self.loss = torch.rand((), device=device)

    def overwrite(self) -> None:
        for tensor in vars(self).values():
            tensor.uniform_(-2, 2)

    def on_host(self) -> dict[str, Tensor]:
        """A synchronous copy."""
        return {name: tensor.cpu().clone() for name, tensor in vars(self).items()}

    def values(self) -> StepValues:
        branches = (hold(self.channel, first=SAMPLES), hold(self.spatial, first=SAMPLES))
        return StepValues(
            input=self.clean,
            reconstruction=self.output,
            maps=(MapTensors("bam_64", "bam", branches),),
            samples=lambda n: tuple(Sample(id=str(i)) for i in range(n)),
            frame_samples=SAMPLES,
            scalars={"loss": self.loss, "plain": 3.0},
        )


def wait_ready(capture: Capture) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not (capture.scalars_ready() and capture.ready()):
        assert time.monotonic() < deadline_s, "the copy never finished"


def expect_frame(frame: FrameArrays, step: dict[str, Tensor]) -> None:
    """`frame` shows what a synchronous copy of the step shows."""
    images = {"clean": frame.input, "output": frame.reconstruction}
    for name, shown in images.items():
        expected = as_uint8_images(to_numpy(step[name][:SAMPLES]))
        np.testing.assert_array_equal(shown, expected, err_msg=name)
    channel, spatial = (step[name][:SAMPLES].float().numpy() for name in ("channel", "spatial"))
    gate = bam_gate(channel, spatial)
    np.testing.assert_allclose(frame.attention["bam_64"], gate, atol=1e-6)


def churn(device: torch.device) -> None:
    """Take and fill memory of the sizes that a capture reduces to, as soon as it is free."""
    for shape, dtype in [((2, 4, 128, 128, 3), torch.uint8), ((4, 32, 32), torch.float32)]:
        for _ in range(4):
            torch.full(shape, 7, dtype=dtype, device=device)
    torch.full((1,), 7, dtype=torch.float64, device=device)
