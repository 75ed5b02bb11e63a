"""What a benchmark publishes: batches of ten scalars, frames of two sizes, and their payloads."""

import time
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from shared.codec import Buffer, encode, join
from shared.messages import BatchFrame, BatchMetrics, RunStarted, Sample
from shared.recording import Recorded
from trainer.publish import FrameArrays

# Tiles of a frame and the sides of its maps: 6.4 MB, and 0.4 MB, the default of the trainer.
LARGE: Final = ((16, 256, 256, 3), (16, 32))
SMALL: Final = ((4, 128, 128, 3), (16, 32))


class Ready:
    """A capture whose values are there: what is measured begins behind the capture."""

    def __init__(self, step: int, arrays: FrameArrays | None) -> None:
        self._arrays = arrays
        self._step = step
        self.nbytes = 0 if arrays is None else arrays.input.nbytes * 2

    def scalars_ready(self) -> bool:
        return True

    def ready(self) -> bool:
        return True

    def scalars(self) -> dict[str, float]:
        mine = {f"scalar_{i}": i + 0.1 * self._step for i in range(7)}
        return {"loss": 1.0 / self._step, "mse": 0.5, "memory_mb": 100.0, **mine}

    def frame(self) -> FrameArrays:
        assert self._arrays is not None
        return self._arrays

    def drop_frame(self) -> None:
        self._arrays = None


def make_arrays(size: tuple[tuple[int, ...], tuple[int, ...]] = LARGE) -> FrameArrays:
    """Noise in the shape of a frame."""
    tiles, sides = size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, tiles, dtype=np.uint8)
    samples = tuple(Sample(id=str(i)) for i in range(tiles[0]))
    maps = {f"map_{n}": rng.random((tiles[0], n, n), dtype=np.float32) for n in sides}
    return FrameArrays(images, images[::-1].copy(), samples, maps)


def run_of(name: str) -> RunStarted:
    """A run that draws no dashboard."""
    return RunStarted(
        run_id=name,
        run_name=name,
        producer="rank0",
        started_at_ns=time.time_ns(),
        analysis_freq=1_000_000,
    )


def frame_parts(number: int, arrays: FrameArrays) -> list[Buffer]:
    """Frame `number` as it crosses the sockets."""
    frame: dict[str, Any] = {
        "phase": "train",
        "epoch": 0,
        "batch_idx": number,
        "global_step": number,
        "phase_step": number,
        "stream": "train",
        "fseq": number,
        "captured_at_ns": number,
        "samples": arrays.samples,
        "input": arrays.input,
        "attention": arrays.attention,
        "activation": arrays.activation,
        "reconstruction": arrays.reconstruction,
    }
    return encode(BatchFrame.model_validate(frame))


def metrics_payload(step: int, *, with_frame: bool = False) -> bytes:
    """The critical record of batch `step`."""
    scalars = Ready(step, None).scalars()
    own = {name: scalars.pop(name) for name in ("loss", "mse", "memory_mb")}
    batch: dict[str, Any] = {
        "phase": "train",
        "epoch": 0,
        "batch_idx": step,
        "global_step": step,
        "phase_step": step,
        "captured_at_ns": step,
        "scalars": scalars,
        **own,
        "frame": {"stream": "train", "fseq": step} if with_frame else None,
    }
    return join(encode(BatchMetrics.model_validate(batch)))


def recorded_scalars(count: int) -> list[Recorded]:
    """A run of `count` records."""
    return list(_records(count, None))


def recorded_frames(count: int) -> list[Recorded]:
    """A run of `count` batches with a large frame each."""
    return list(_records(count + 1, make_arrays()))


def _records(count: int, arrays: FrameArrays | None) -> Iterator[Recorded]:
    who = ("timed", "timed", "rank0", 1)
    yield Recorded(*who, "ctl", 1, 0, join(encode(run_of("timed"))))
    for step in range(1, count):
        payload = metrics_payload(step, with_frame=arrays is not None)
        yield Recorded(*who, "ctl", step + 1, step, payload)
        if arrays is not None:
            yield Recorded(*who, "train", step, step, join(frame_parts(step, arrays)))
