"""Messages for tests: realistic, small, and the same on every call.

Arrays come from a generator seeded by the message's phase and number, so that two batches
differ and one batch is always the same. Every keyword overrides a field of the message.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.codec import encode, join
from shared.messages import (
    BatchFrame,
    BatchMetrics,
    DropNotice,
    EpochEnded,
    FrameRef,
    Layer,
    Message,
    RunEnded,
    RunStarted,
    Sample,
)
from shared.recording import Recorded

START_NS = 1_760_000_000_000_000_000
STEP_NS = 250_000_000
LAYERS = (
    Layer(name="bam_384", kind="attention"),
    Layer(name="bam_16", kind="attention"),
    Layer(name="encoder_kan", kind="activation"),
)


def make_run_started(**overrides: Any) -> RunStarted:
    """First record of a run named ``demo`` with two gates and one KAN layer."""
    fields: dict[str, Any] = {
        "run_id": "run-0001",
        "run_name": "demo",
        "producer": "rank0",
        "started_at_ns": START_NS,
        "layers": LAYERS,
        "primary_layer": "bam_384",
        "tile_size": 32,
        "stain": "ihc",
        "mpp": 0.5,
        "frame_samples": 2,
        "max_epochs": 2,
        "total_steps": 20,
        "config": {"batch_size": 8, "lr": 1e-3, "model": "small"},
    }
    return RunStarted(**(fields | overrides))


def make_batch(number: int = 1, *, phase: str = "train", **overrides: Any) -> BatchMetrics:
    """Scalars of batch `number` of `phase` (from 1), naming the frame of the same number."""
    generator = _generator("batch", phase, number)
    loss = 0.02 + 0.3 * float(np.exp(-number / 20)) + float(generator.normal(0, 0.002))
    train_ms, read_ms = (float(value) for value in generator.gamma(20, 1, size=2))
    fields: dict[str, Any] = _keys(number, phase) | {
        "batch_size": 8,
        "loss": loss,
        "mse": loss,
        "training_time_ms": train_ms if phase == "train" else None,
        "inference_time_ms": train_ms / 3,
        "data_time_ms": read_ms / 4,
        "memory_mb": 512.0 + number,
        "scalars": {"lr": 1e-3},
        "frame": FrameRef(stream=phase, fseq=number),  # type: ignore[arg-type]
    }
    return BatchMetrics(**(fields | overrides))


def make_frame(
    number: int = 1, *, phase: str = "train", count: int = 2, size: int = 32, **overrides: Any
) -> BatchFrame:
    """Frame `number` of `phase` (from 1): `count` stained tiles of `size` pixels, gates and KAN.

    `size` must be a multiple of 8: ``bam_384`` has size/4, ``bam_16`` size/8, the KAN layer
    size/8 pixels a side.
    """
    generator = _generator("frame", phase, number)
    images = make_images(generator, count=count, size=size)
    fields: dict[str, Any] = _keys(number, phase) | {
        "stream": phase,
        "fseq": number,
        "samples": make_samples(count, first=(number - 1) * count, size=size),
        "input": images,
        "reconstruction": _blurred(images, generator),
        "attention": {
            "bam_384": make_gates(generator, count=count, size=size // 4),
            "bam_16": make_gates(generator, count=count, size=size // 8),
        },
        "activation": {
            "encoder_kan": 3 * make_gates(generator, count=count, size=size // 8),
        },
    }
    return BatchFrame(**(fields | overrides))


def make_samples(count: int, *, first: int = 0, size: int = 32) -> tuple[Sample, ...]:
    """Tiles `first` to ``first + count - 1`` of one image, eight in a row."""
    return tuple(
        Sample(
            id=f"tile-{i:04d}",
            source="immunohistochemistry",
            row=i // 8 * size,
            col=i % 8 * size,
            mpp=0.5,
        )
        for i in range(first, first + count)
    )


def make_images(
    generator: np.random.Generator, *, count: int = 2, size: int = 32
) -> NDArray[np.uint8]:
    """Pale stroma with round, dark blue nuclei, of shape (count, size, size, 3)."""
    images = generator.normal((228, 205, 216), 6, size=(count, size, size, 3))
    rows, cols = np.mgrid[:size, :size]
    for image in images:
        for row, col in generator.uniform(0, size, size=(max(3, size // 8), 2)):
            radius = generator.uniform(size / 16, size / 9)
            nucleus = np.exp(-(((rows - row) ** 2 + (cols - col) ** 2) / radius**2))[..., None]
            image += nucleus * (np.array((84, 70, 130)) - image)
    return np.clip(np.round(images), 0, 255).astype(np.uint8)


def make_gates(
    generator: np.random.Generator, *, count: int = 2, size: int = 8
) -> NDArray[np.float32]:
    """Smooth gates in (0, 1) with one bright spot each, of shape (count, size, size)."""
    rows, cols = np.mgrid[:size, :size] / max(size - 1, 1)
    centers = generator.uniform(0.2, 0.8, size=(count, 2))
    spots = [np.exp(-8 * ((rows - r) ** 2 + (cols - c) ** 2)) for r, c in centers]
    logits = 4 * np.stack(spots) - 2 + generator.normal(0, 0.1, size=(count, size, size))
    gates: NDArray[np.float32] = (1 / (1 + np.exp(-logits))).astype(np.float32)
    return gates


def make_epoch_ended(epoch: int = 0, **overrides: Any) -> EpochEnded:
    """End of epoch `epoch` (from 0), ten training batches each."""
    fields: dict[str, Any] = {
        "epoch": epoch,
        "global_step": (epoch + 1) * 10,
        "captured_at_ns": START_NS + (epoch * 10 + 11) * STEP_NS,
    }
    return EpochEnded(**(fields | overrides))


def make_drop(first: int = 1, last: int | None = None, **overrides: Any) -> DropNotice:
    """Notice that training frames `first` to `last` will not arrive."""
    fields: dict[str, Any] = {
        "stream": "train",
        "first_fseq": first,
        "last_fseq": first if last is None else last,
        "reason": "queue_full",
        "captured_at_ns": START_NS + first * STEP_NS,
    }
    return DropNotice(**(fields | overrides))


def make_run_ended(**overrides: Any) -> RunEnded:
    """A run that finished an hour after its start."""
    fields: dict[str, Any] = {"status": "finished", "ended_at_ns": START_NS + 3_600_000_000_000}
    return RunEnded(**(fields | overrides))


def make_recorded(message: Message, sequence: int = 1, **overrides: Any) -> Recorded:
    """`message` as a recording of the run of `make_run_started` holds it."""
    at_ns = getattr(message, "captured_at_ns", START_NS)
    fields: dict[str, Any] = {
        "run_id": "run-0001",
        "run_name": "demo",
        "producer": "rank0",
        "incarnation": 1,
        "channel": message.stream if isinstance(message, BatchFrame) else "ctl",
        "sequence": message.fseq if isinstance(message, BatchFrame) else sequence,
        "captured_at_ns": at_ns,
        "payload": join(encode(message)),
    }
    return Recorded(**(fields | overrides))


def _keys(number: int, phase: str) -> dict[str, Any]:
    """Epochs (from 0) of ten training batches, then two of validation."""
    an_epoch = 10 if phase == "train" else 2
    epoch, index = divmod(number - 1, an_epoch)
    return {
        "phase": phase,
        "epoch": epoch,
        "batch_idx": index,
        "global_step": number if phase == "train" else (epoch + 1) * 10,
        "phase_step": number,
        "captured_at_ns": START_NS + number * STEP_NS,
    }


def _blurred(images: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    """A middling reconstruction: neighbors averaged, some noise."""
    shifted = [np.roll(images, (r, c), axis=(1, 2)) for r in (-1, 0, 1) for c in (-1, 0, 1)]
    mean = np.mean(shifted, axis=0) + generator.normal(0, 2, size=images.shape)
    return np.clip(np.round(mean), 0, 255).astype(np.uint8)


def _generator(kind: str, phase: str, number: int) -> np.random.Generator:
    return np.random.default_rng([*kind.encode(), *phase.encode(), number])
