"""Captures on a GPU: equal to a synchronous copy, and never waiting for the device."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from shared.messages import Sample
from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    loader,
    make_trainer,
    publishers,
    read_frame,
    sidecar,
)
from trainer.capture.cuda import CudaCapturer
from trainer.capture.held import hold
from trainer.capture.maps import bam_gate
from trainer.capture.settings import CaptureSettings
from trainer.capture.timing import CudaClock
from trainer.capture.values import MapTensors, StepValues
from trainer.publish import Capture, CaptureLost
from trainer.publish.arrays import as_uint8_images

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings(
        "ignore:.*does not have many workers",
        "ignore:.*LeafSpec",
        "ignore:Synchronization debug mode is a prototype feature",
    ),
]
__all__ = ["publishers"]

STEPS = 50


@pytest.fixture
def device() -> torch.device:
    return torch.device("cuda", torch.cuda.current_device())


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Raise where PyTorch waits for the device on its own account."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    yield
    torch.cuda.set_sync_debug_mode("default")


class Buffers:
    """One set of device tensors that every step overwrites."""

    def __init__(self, device: torch.device) -> None:
        self.clean = torch.rand(8, 3, 128, 128, device=device)
        self.output = torch.rand(8, 3, 128, 128, device=device)
        self.channel = torch.randn(8, 64, device=device)
        self.spatial = torch.randn(8, 32, 32, device=device)
        self.loss = torch.rand((), device=device)

    def overwrite(self) -> None:
        for tensor in vars(self).values():
            tensor.uniform_(-2, 2)

    def values(self) -> StepValues:
        branches = (hold(self.channel, first=4), hold(self.spatial, first=4))
        return StepValues(
            input=self.clean,
            reconstruction=self.output,
            maps=(MapTensors("bam_64", "bam", branches),),
            samples=lambda n: tuple(Sample(id=str(i)) for i in range(n)),
            frame_samples=4,
            scalars={"loss": self.loss, "plain": 3.0},
        )


def churn(device: torch.device) -> None:
    """Take and fill memory of the sizes that a capture reduces to, as soon as it is free."""
    for shape, dtype in [((4, 128, 128, 3), torch.uint8), ((4, 32, 32), torch.float32)]:
        for _ in range(4):
            torch.full(shape, 7, dtype=dtype, device=device)
    torch.full((1,), 7, dtype=torch.float64, device=device)


def wait_ready(capture: Capture) -> None:
    deadline_s = time.monotonic() + 10
    while not capture.ready():
        assert time.monotonic() < deadline_s, "the copy never finished"


def test_values_equal_a_synchronous_copy_while_buffers_are_overwritten(
    device: torch.device,
) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=STEPS))
    buffers = Buffers(device)
    expected: list[dict[str, Any]] = []
    captures: list[Capture] = []
    for _ in range(STEPS):
        buffers.overwrite()
        expected.append({name: tensor.cpu().clone() for name, tensor in vars(buffers).items()})
        with torch.cuda.stream(capturer._stream):
            torch.cuda._sleep(3_000_000)  # the copies come late
        captures.append(capturer.capture(buffers.values()))
        buffers.overwrite()  # the next step's work, queued right behind
        churn(device)
    for capture, step in zip(captures, expected, strict=True):
        wait_ready(capture)
        assert capture.scalars() == {"loss": float(step["loss"]), "plain": 3.0}
        frame = capture.frame()
        np.testing.assert_array_equal(frame.input, as_uint8_images(step["clean"][:4].numpy()))
        shown = as_uint8_images(step["output"][:4].numpy())
        np.testing.assert_array_equal(frame.reconstruction, shown)
        gate = bam_gate(step["channel"][:4].numpy(), step["spatial"][:4].numpy())
        np.testing.assert_allclose(frame.attention["bam_64"], gate, atol=1e-6)
        capture.drop_frame()


def test_slots_that_are_used_again_never_mix_frames(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=2))
    delivered = 0
    buffers = Buffers(device)
    waiting: list[tuple[float, Capture]] = []
    for step in range(STEPS):
        level = step / STEPS
        buffers.clean.fill_(level)
        buffers.output.fill_(level)
        waiting.append((level, capturer.capture(buffers.values())))
        buffers.clean.fill_(1.0)
        if len(waiting) < 2:
            continue
        level, capture = waiting.pop(0)
        wait_ready(capture)
        frame = capture.frame()
        assert (frame.input == round(level * 255)).all()
        assert (frame.reconstruction == round(level * 255)).all()
        capture.drop_frame()
        delivered += 1
    assert delivered == STEPS - 1


def test_no_free_slot_drops_the_frame_and_keeps_the_scalars(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings(slot_count=1))
    buffers = Buffers(device)
    first, second = capturer.capture(buffers.values()), capturer.capture(buffers.values())
    wait_ready(second)
    assert second.scalars()["loss"] == float(buffers.loss)
    with pytest.raises(CaptureLost) as lost:
        second.frame()
    assert lost.value.reason == "no_slot"
    wait_ready(first)
    assert first.frame().input.shape == (4, 128, 128, 3)


def test_capturing_waits_for_nothing(device: torch.device, no_waiting: None) -> None:
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    for _ in range(3):
        capture = capturer.capture(buffers.values())
        buffers.overwrite()
    wait_ready(capture)
    assert capture.frame().input.shape == (4, 128, 128, 3)


def test_capturing_returns_while_the_device_is_busy(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    wait_ready(capturer.capture(buffers.values()))  # slots are made, kernels loaded
    torch.cuda.synchronize()
    torch.cuda._sleep(2_000_000_000)  # about a second of device time
    began_s = time.monotonic()
    capture = capturer.capture(buffers.values())
    took_s = time.monotonic() - began_s
    assert not capture.ready()
    assert took_s < 0.3
    wait_ready(capture)


def test_times_are_those_of_the_device(device: torch.device, no_waiting: None) -> None:
    clock = CudaClock(device)
    start = clock.mark()
    torch.cuda._sleep(100_000_000)
    span = clock.between(start, clock.mark())
    deadline_s = time.monotonic() + 10
    while not span.ready():
        assert time.monotonic() < deadline_s
    assert 10 < span.value() < 1000


class CheckedAutoencoder(Autoencoder):
    """Remembers nothing, so that its steps wait for nothing either."""

    def _step(self, batch: Tensor) -> dict[str, Tensor]:
        output = self(batch)
        loss = nn.functional.mse_loss(output, batch)
        return {"loss": loss, "input": batch, "reconstruction": output}


class ForbidWaiting(pl.Callback):
    """From the start of a batch to its end, after the sidecar's turn, nobody may wait."""

    def on_train_batch_start(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")


class AllowWaiting(pl.Callback):
    """Stands behind the sidecar."""

    def on_train_batch_end(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


def test_a_training_step_waits_for_nothing(
    tmp_path: Path, publishers: list[RememberingPublisher]
) -> None:
    watch = sidecar()
    options = {"accelerator": "gpu", "devices": 1, "num_sanity_val_steps": 0}
    trainer = make_trainer(tmp_path, ForbidWaiting(), watch, AllowWaiting(), **options)
    trainer.fit(CheckedAutoencoder(), loader(), loader(8))
    assert watch.failures == 0
    assert [keys.phase for keys, _ in publishers[0].batches] == 3 * ["train"] + 2 * ["val"]
    for keys, capture in publishers[0].batches:
        wait_ready(capture)
        scalars = capture.scalars()
        assert 0 < scalars["loss"] < 1
        assert scalars["inference_time_ms"] > 0
        assert scalars["memory_mb"] >= 0
        assert keys.phase == "val" or scalars["training_time_ms"] > 0
        assert read_frame(capture).attention["bam_6"].shape == (4, 8, 8)


def test_training_is_the_same_with_and_without(
    tmp_path: Path, publishers: list[RememberingPublisher]
) -> None:
    torch.manual_seed(1)
    watched, plain = CheckedAutoencoder(), CheckedAutoencoder()
    plain.load_state_dict(watched.state_dict())
    options = {"accelerator": "gpu", "devices": 1, "max_epochs": 2}
    make_trainer(tmp_path, sidecar(), **options).fit(watched, loader(), loader(8))
    make_trainer(tmp_path, **options).fit(plain, loader(), loader(8))
    assert publishers[0].batches
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(watched.state_dict()[name], value, rtol=1e-3, atol=1e-4)
