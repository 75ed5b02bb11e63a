"""Whole training steps with the sidecar on, in which nobody may wait for the device.

``torch.cuda.set_sync_debug_mode("error")`` holds for all threads of the process, the sender's too.
Progress bar and logger are off: Lightning's own read values. Values are compared with clones that
the step itself made, queued in its own order, while the next steps write over the originals.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn

from shared.codec import decode_payload
from shared.messages import BatchFrame, BatchMetrics, DropNotice
from shared.recording import RecordingReader
from tests.trainer.capture.builders import Autoencoder, loader, make_trainer, sidecar
from trainer import AnalysisEnabledMainModel, SidecarCallback
from trainer.capture.cuda import NUMBER_SLAB_BYTES, pin
from trainer.capture.maps import bam_gate
from trainer.publish.arrays import as_uint8_images

pytestmark = [
    pytest.mark.cuda,
    pytest.mark.filterwarnings(
        "ignore:.*does not have many workers",
        "ignore:.*LeafSpec",
        "ignore:Synchronization debug mode is a prototype feature",
    ),
]

TILES = 80
BATCH_SIZE = 4
STEPS = TILES // BATCH_SIZE
VAL_TILES = 16


class Overwriting(Autoencoder):
    """Shows one buffer in every step, and clones what each step saw, on the device."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: Tensor | None = None
        self.branches: dict[str, Tensor] = {}
        self.saw: list[dict[str, Tensor]] = []
        bam = self.net[2]
        bam.channel_attention.register_forward_hook(self._keep_channel)
        bam.spatial_attention.register_forward_hook(self._keep_spatial)

    def _keep_channel(self, _module: Any, _args: Any, output: Tensor) -> None:
        self.branches["channel"] = output.detach().clone()

    def _keep_spatial(self, _module: Any, _args: Any, output: Tensor) -> None:
        self.branches["spatial"] = output.detach().clone()

    def _step(self, batch: Tensor) -> dict[str, Tensor]:
        if self.shown is None:
            self.shown = torch.empty_like(batch)
        self.shown.copy_(batch)
        output = self(self.shown)
        loss = nn.functional.mse_loss(output, batch)
        shown = output.detach().clone()
        self.saw.append(
            {"clean": self.shown.clone(), "output": shown.clone(), "loss": loss.detach().clone()}
            | self.branches
        )
        return {"loss": loss, "input": self.shown, "reconstruction": shown}


class ForbidWaiting(pl.Callback):
    """From a batch's start on, nobody may wait; stands before the sidecar."""

    def on_train_batch_start(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")

    def on_validation_batch_start(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")


class AllowWaiting(pl.Callback):
    """From the end of the sidecar's turn on, Lightning may do what it does; stands behind it."""

    def on_train_batch_end(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_validation_batch_end(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")

    def on_exception(self, *args: Any) -> None:
        torch.cuda.set_sync_debug_mode("default")


class LateCopies(pl.Callback):
    """Lets the copies of each step come after the next step's work was queued."""

    def __init__(self, watch: SidecarCallback) -> None:
        self.watch = watch

    def on_before_backward(self, *args: Any) -> None:
        session = self.watch._session
        assert session is not None
        capturer = session._capturer._cuda
        assert capturer is not None
        with torch.cuda.stream(capturer._stream):
            torch.cuda._sleep(2_000_000)


@dataclass
class Recorded:
    """What a recording holds, by step."""

    metrics: list[BatchMetrics] = field(default_factory=list)
    frames: dict[tuple[str, int], BatchFrame] = field(default_factory=dict)
    drops: list[DropNotice] = field(default_factory=list)


def read(file: Path) -> Recorded:
    found = Recorded()
    for item in RecordingReader(file):
        message = decode_payload(item.payload)
        if isinstance(message, BatchMetrics):
            found.metrics.append(message)
        elif isinstance(message, BatchFrame):
            found.frames[message.phase, message.phase_step] = message
        elif isinstance(message, DropNotice):
            found.drops.append(message)
    return found


@pytest.fixture(autouse=True)
def waiting_is_allowed_afterwards() -> Iterator[None]:
    yield
    torch.cuda.set_sync_debug_mode("default")


def fit(folder: Path, model: Any, *, late: bool = True, **options: Any) -> tuple[Recorded, Any]:
    """Fit with the sidecar on, recording; what it recorded, and the callback."""
    file = folder / "run.mcap"
    watch = sidecar(sidecar="off", record=file)
    delays = [LateCopies(watch)] if late else []
    trainer = make_trainer(
        folder,
        *(ForbidWaiting(), *delays, watch, AllowWaiting()),
        **{"accelerator": "gpu", "devices": 1, "num_sanity_val_steps": 0, **options},
    )
    trainer.fit(model, loader(TILES, BATCH_SIZE), loader(VAL_TILES, BATCH_SIZE))
    assert watch.failures == 0
    assert watch.outcome is not None
    assert watch.outcome.records_lost == 0
    books = watch.outcome.totals["train"]
    assert books.offered == books.delivered + books.dropped + books.pending
    return read(file), watch


def expect_equal(recorded: Recorded, saw: list[dict[str, Tensor]], phase: str = "train") -> int:
    """Every recorded frame shows what its step saw; how many there are."""
    compared = 0
    for number, step in enumerate(saw, start=1):
        frame = recorded.frames.get((phase, number))
        if frame is None:
            continue
        clean, output = (step[name].float().cpu().numpy() for name in ("clean", "output"))
        np.testing.assert_array_equal(frame.input, as_uint8_images(clean))
        np.testing.assert_array_equal(frame.reconstruction, as_uint8_images(output))
        channel, spatial = (step[name].float().cpu().numpy() for name in ("channel", "spatial"))
        gate = bam_gate(channel.reshape(len(channel), -1), spatial)
        np.testing.assert_allclose(frame.attention["bam_6"], gate, atol=1e-6)
        compared += 1
    return compared


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_steps_wait_for_nothing_and_show_what_they_saw(tmp_path: Path, precision: str) -> None:
    model = Overwriting()
    recorded, _ = fit(tmp_path, model, precision=precision)
    train, val = model.saw[:STEPS], model.saw[STEPS:]
    assert recorded.drops == []
    assert expect_equal(recorded, train) == STEPS
    assert expect_equal(recorded, val, "val") == VAL_TILES // BATCH_SIZE
    metrics = [m for m in recorded.metrics if m.phase == "train"]
    assert [m.loss for m in metrics] == [float(step["loss"]) for step in train]
    for row in recorded.metrics:
        assert row.inference_time_ms is not None
        assert 0 < row.inference_time_ms < 10_000
        assert row.memory_mb is not None
        assert row.memory_mb > 0
    for row in metrics:
        assert row.training_time_ms is not None
        assert row.training_time_ms >= row.inference_time_ms  # type: ignore[operator]


def test_with_accumulated_gradients_the_loss_is_the_steps_own(tmp_path: Path) -> None:
    model = Overwriting()
    recorded, _ = fit(tmp_path, model, accumulate_grad_batches=4)
    losses = [m.loss for m in recorded.metrics if m.phase == "train"]
    expected = [float(step["loss"]) for step in model.saw[:STEPS]]
    assert losses == pytest.approx(expected, rel=1e-6)
    assert expect_equal(recorded, model.saw[:STEPS]) == STEPS


def test_without_slots_frames_are_dropped_by_name_and_scalars_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainer.capture.cuda.pin", pin_numbers_only)
    model = Overwriting()
    recorded, watch = fit(tmp_path, model, late=False)
    assert len(recorded.metrics) == STEPS + VAL_TILES // BATCH_SIZE
    assert [m.loss for m in recorded.metrics[:STEPS]] == [
        float(step["loss"]) for step in model.saw[:STEPS]
    ]
    assert {drop.reason for drop in recorded.drops} == {"capture_failed"}
    assert watch.outcome.totals["train"].dropped == STEPS


def pin_numbers_only(nbytes: int) -> Tensor:
    if nbytes != NUMBER_SLAB_BYTES:
        raise RuntimeError("no more pinned memory")
    return pin(nbytes)


def guides_model(**options: Any) -> AnalysisEnabledMainModel:
    return AnalysisEnabledMainModel(model="small", sidecar="off", tile_size=64, **options)


@pytest.mark.parametrize("make", [Overwriting, guides_model])
def test_without_the_sidecar_these_steps_wait_for_nothing_either(tmp_path: Path, make: Any) -> None:
    """If this fails, it is Lightning or the model that waits, and the tests below tell nothing."""
    options = {"accelerator": "gpu", "devices": 1, "num_sanity_val_steps": 0}
    trainer = make_trainer(tmp_path, ForbidWaiting(), AllowWaiting(), **options)
    images = torch.rand(32, 3, 64, 64)
    data = torch.utils.data.DataLoader(images, batch_size=8)  # type: ignore[arg-type]
    trainer.fit(make(), data, data)


def test_the_guides_model_waits_for_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    model = guides_model(record=file)
    [watch] = model.configure_callbacks()
    trainer = make_trainer(
        tmp_path,
        *(ForbidWaiting(), watch, AllowWaiting()),
        accelerator="gpu",
        devices=1,
        num_sanity_val_steps=0,
    )
    images = torch.rand(32, 3, 64, 64)
    data = torch.utils.data.DataLoader(images, batch_size=8)  # type: ignore[arg-type]
    trainer.fit(model, data, data)
    assert isinstance(watch, SidecarCallback)
    assert watch.failures == 0
    recorded = read(file)
    assert len(recorded.metrics) == 8
    assert recorded.drops == []
    for frame in recorded.frames.values():
        assert set(frame.attention) == set(model.model.attention_layers)
        assert set(frame.activation) == set(model.model.activation_layers)
        assert all(np.isfinite(gate).all() for gate in frame.attention.values())


class Busy(pl.Callback):
    """Gives the device a second of work in every step; stands before the sidecar."""

    def __init__(self) -> None:
        self.began_s = 0.0

    def on_before_backward(self, *args: Any) -> None:
        torch.cuda._sleep(1_000_000_000)

    def on_train_batch_end(self, *args: Any) -> None:
        self.began_s = time.perf_counter()


class Stopwatch(pl.Callback):
    """How long the sidecar's turn took; stands behind it."""

    def __init__(self, busy: Busy) -> None:
        self.busy = busy
        self.took_s: list[float] = []
        self.ended_early = 0

    def on_train_batch_end(self, *args: Any) -> None:
        self.took_s.append(time.perf_counter() - self.busy.began_s)
        self.ended_early += not torch.cuda.current_stream().query()
        torch.cuda.synchronize()


def test_a_busy_device_makes_nobody_wait(tmp_path: Path) -> None:
    """The debug mode does not see every way of waiting; a clock does."""
    busy = Busy()
    stopwatch = Stopwatch(busy)
    watch = sidecar(sidecar="off", record=tmp_path / "run.mcap")
    trainer = make_trainer(
        tmp_path, busy, watch, stopwatch, accelerator="gpu", devices=1, max_steps=5
    )
    trainer.fit(Overwriting(), loader(TILES, BATCH_SIZE))
    assert stopwatch.ended_early >= 4, "the device was to be still at work"
    assert max(stopwatch.took_s[1:]) < 0.1  # the first step loads kernels


def test_training_is_the_same_with_and_without(tmp_path: Path) -> None:
    torch.manual_seed(1)
    watched, plain = Overwriting(), Overwriting()
    plain.load_state_dict(watched.state_dict())
    fit(tmp_path, watched, max_epochs=2)
    options = {"accelerator": "gpu", "devices": 1, "max_epochs": 2}
    make_trainer(tmp_path, **options).fit(plain, loader(TILES, 4), loader(VAL_TILES, 4))
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(watched.state_dict()[name], value, rtol=1e-3, atol=1e-4)
