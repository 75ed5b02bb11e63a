"""A small autoencoder with a gate, a publisher that remembers, and fits that take a moment."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from shared.messages import Books, Phase, RunStarted, RunStatus, Sample
from trainer.capture.callback import SidecarCallback
from trainer.capture.cpu import CpuCapture, CpuReader
from trainer.capture.held import Kept
from trainer.capture.values import LayerParts, StepValues, Watched
from trainer.model.bam import BAM
from trainer.publish import BatchKeys, Capture, FrameArrays, PublishOutcome

DEADLINE_S = 10.0


@dataclass
class RememberingPublisher:
    """Takes what a publisher takes and keeps it."""

    run: RunStarted
    batches: list[tuple[BatchKeys, Capture]] = field(default_factory=list)
    events: list[Any] = field(default_factory=list)
    closed: list[tuple[RunStatus, str | None]] = field(default_factory=list)
    longest_handoff_s: float = 0.0
    lost: int = 0

    def publish(self, keys: BatchKeys, capture: Capture) -> None:
        self.batches.append((keys, capture))
        self.events.append((keys.phase, keys.global_step, keys.phase_step))

    def count_lost(self) -> None:
        self.lost += 1

    def epoch_ended(self, epoch: int, global_step: int) -> None:
        self.events.append(("epoch_ended", epoch, global_step))

    def close(self, status: RunStatus = "finished", **options: Any) -> PublishOutcome:
        self.closed.append((status, options.get("reason")))
        return PublishOutcome(Books(), True, 0, None, None, None, 0.0)

    def of_phase(self, phase: str) -> list[tuple[BatchKeys, Capture]]:
        return [(keys, capture) for keys, capture in self.batches if keys.phase == phase]


def read_frame(capture: Capture) -> FrameArrays:
    """The frame once it may be read."""
    deadline_s = time.monotonic() + DEADLINE_S
    while not capture.ready():
        assert time.monotonic() < deadline_s, "the capture never became ready"
        time.sleep(0.001)
    return capture.frame()


@pytest.fixture
def publishers(monkeypatch: pytest.MonkeyPatch) -> list[RememberingPublisher]:
    """Every publisher that a fit started, in order; none opens a socket or a file."""
    started: list[RememberingPublisher] = []

    def start(options: Any, run: RunStarted, facts: Any) -> tuple[RememberingPublisher, None]:
        started.append(RememberingPublisher(run))
        return started[-1], None

    monkeypatch.setattr("trainer.capture.lightning_start.start_publisher", start)
    return started


class Autoencoder(pl.LightningModule):
    """One convolution down, BatchNorm, BAM, one up; remembers what its steps saw."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2, padding=1),
            nn.BatchNorm2d(6),
            BAM(6),
            nn.ConvTranspose2d(6, 3, 2, stride=2),
            nn.Sigmoid(),
        )
        self.forward_calls = 0
        self.seen: list[dict[str, Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        self.forward_calls += 1
        result: Tensor = self.net(x)
        return result

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        return self._step(batch)

    def validation_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        return self._step(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def _step(self, batch: Tensor) -> dict[str, Tensor]:
        output = self(batch)
        loss = nn.functional.mse_loss(output, batch)
        self.seen.append({"input": batch.clone(), "output": output.detach().clone()})
        return {"loss": loss, "input": batch, "reconstruction": output}


def tiles(count: int = 12, side: int = 16) -> Tensor:
    """Random tiles in [0, 1], the same each time."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(5))


def loader(count: int = 12, batch_size: int = 4) -> DataLoader[Tensor]:
    return DataLoader(tiles(count), batch_size=batch_size)  # type: ignore[arg-type]


def sidecar(**options: Any) -> SidecarCallback:
    """A callback that watches the gate of `Autoencoder`."""
    return SidecarCallback({"bam_6": "net.2"}, **options)


def make_trainer(folder: Path, *callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    settings: dict[str, Any] = {
        "accelerator": "cpu",
        "max_epochs": 1,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    return pl.Trainer(default_root_dir=folder, callbacks=list(callbacks), **{**settings, **options})


def make_values(**changes: Any) -> StepValues:
    """Values of a step of four tiles without maps."""
    images = tiles(4)
    return StepValues(
        **{
            "input": images,
            "reconstruction": images.flip(0),
            "maps": (),
            "samples": lambda n: tuple(Sample(id=str(i)) for i in range(n)),
            "frame_samples": 4,
            "scalars": {},
            **changes,
        }
    )


class FixedMemory:
    """Always the same reading."""

    MB = 64.0

    def ready(self) -> bool:
        return True

    def value(self) -> float:
        return self.MB


def make_watched(layers: tuple[LayerParts, ...] = (), frame_samples: int = 4) -> Watched:
    """What a fit watches, without times."""
    return Watched(layers, frame_samples, lambda _marks: {}, FixedMemory())


def make_capture(
    reader: CpuReader,
    *,
    images: tuple[Tensor | None, Tensor | None] | None = None,
    kept: tuple[Kept | None, ...] = (),
    loss: Any = None,
    logged: dict[str, Any] | None = None,
    phase: Phase = "train",
) -> CpuCapture:
    """A capture of a step on a CPU: four tiles, unless other `images` are given."""
    images = (tiles(4), tiles(4).flip(0)) if images is None else images
    facts = (BatchKeys(phase, 0, 0, 1, 1), 0, None, (None, None, None, None, None))
    return CpuCapture(reader, images, list(kept), (loss, None, 0.1), logged or {}, facts)


def as_uint8(images: Tensor) -> np.ndarray[Any, Any]:
    """[0, 1] (N, C, H, W) to 0..255 (N, H, W, C), by Python's own rounding.

    The product is taken in float32: in float64 a value may fall on the other side of a half.
    """
    array = images.permute(0, 2, 3, 1).float().numpy() * np.float32(255)
    return np.vectorize(lambda x: round(min(max(float(x), 0.0), 255.0)))(array).astype(np.uint8)
