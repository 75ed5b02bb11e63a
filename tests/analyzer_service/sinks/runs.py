"""Run folders for the sinks' tests, written through the real store with known numbers."""

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from analyzer_service.commit.books import StreamBooks
from analyzer_service.commit.released import Released
from analyzer_service.commit.run_rows import Source
from analyzer_service.commit.store import FoundFrame, Store, StoredFrame
from shared.codec import encode, join
from shared.messages import BatchMetrics, CriticalMessage, RunStarted
from tests.builders import (
    START_NS,
    STEP_NS,
    make_batch,
    make_epoch_ended,
    make_run_started,
    make_samples,
)

LAYERS = ("bam_384", "bam_16")
COUNTS = ("undefined", "flat", "low_contrast")
GATE_METRICS = {
    "attention_entropy": 3.0,
    "attention_concentration_10": 0.4,
    "attention_sparsity": 0.5,
    "attention_center_distance": 0.1,
    "num_attention_peaks": 2.0,
    "attention_contrast": 0.05,
}


class RunWriter:
    """Writes a run step by step, as the pipeline would."""

    def __init__(self, folder: Path, **overrides: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.store = Store(folder)
        self.released = Released(self.store)
        self.books = {"train": StreamBooks(), "val": StreamBooks()}
        self.start(**overrides)

    @property
    def release(self) -> int:
        return self.released.release

    def start(self, **overrides: Any) -> None:
        """A start of the run; a resume when `incarnation` is given."""
        self.started: RunStarted = make_run_started(**overrides)
        with self.store.transaction():
            self.origin = self.store.add_producer(self.started)
            if self.started.resumed_from_step is not None:
                self.released.supersede(self.started.incarnation, self.started.resumed_from_step)
        self.cseq = 0

    def batch(
        self,
        number: int,
        *,
        phase: str = "train",
        part: dict[str, float] | None = None,
        framed: bool = True,
        **overrides: Any,
    ) -> BatchMetrics:
        """Release one batch; `part` overrides the numbers of its frame."""
        message = make_batch(number, phase=phase, **overrides)
        with self.store.transaction():
            self.cseq += 1
            frame = self._frame(message, part or {}) if framed else None
            source = Source(self.origin, self.cseq, self.started)
            self.released.add_batch(source, message, frame)
            self._count(message, arrived=framed)
        return message

    def epoch(self, epoch: int, **overrides: Any) -> None:
        with self.store.transaction():
            self.released.add_epoch(make_epoch_ended(epoch, **overrides))

    def dashboard(self, phase: str, number: int, release: int | None = None) -> Path:
        """A drawn dashboard: a small picture, and its record."""
        path = self.folder / f"{phase}_batch_{number:06d}.png"
        pixels = np.full((24, 32, 3), number % 256, np.uint8)
        Image.fromarray(pixels).save(path)
        with self.store.transaction():
            self.store.connection.execute(
                "INSERT INTO dashboards (phase, number, release, file) VALUES (?, ?, ?, ?)",
                (phase, number, release or self.release, path.name),
            )
        return path

    def say(self, message: CriticalMessage, *, cseq: int | None = None) -> None:
        """Commit a critical record, the next one if no `cseq` is given."""
        self.cseq = self.cseq + 1 if cseq is None else cseq
        with self.store.transaction():
            self.store.add_record(self.origin, self.cseq, join(encode(message)))

    def end(self, status: str = "finished", reason: str | None = None) -> None:
        with self.store.transaction():
            self.store.put(status=status, reason=reason, ended_at_ns=START_NS + 10**12)

    def close(self) -> None:
        self.store.close()

    def _frame(self, message: BatchMetrics, part: dict[str, float]) -> FoundFrame:
        samples = make_samples(2, first=2 * message.phase_step)
        tiles = [self._tile(message.phase_step, i) | part for i in range(len(samples))]
        means = {
            name: float(np.mean([tile[name] for tile in tiles]))
            for tile in tiles[:1]
            for name in tile
        }
        counts = {
            f"attention_{layer}_{kind}": 0.0
            for layer in LAYERS
            for kind in ("undefined", "flat", "low_contrast")
        }
        frame = StoredFrame(
            stream=message.phase,
            fseq=message.phase_step + 1_000_000 * self.started.incarnation,
            state="analyzed",
            phase=message.phase,
            phase_step=message.phase_step,
            part={**means, **counts, "samples": 2.0},
            samples=[
                (sample.model_dump_json(), tile)
                for sample, tile in zip(samples, tiles, strict=True)
            ],
        )
        self.store.add_frame(self.origin, frame)
        found = self.store.frame(self.origin, frame.stream, frame.fseq)
        assert found is not None
        return found

    def _tile(self, step: int, position: int) -> dict[str, float]:
        ssim = 1 - math.exp(-step / 10) / 2 - 0.01 * position
        gates = {
            f"attention_{layer}_{name}": value * (1 + 0.01 * position + 0.001 * step)
            for layer in LAYERS
            for name, value in GATE_METRICS.items()
        }
        kan = {"activation_encoder_kan_attention_entropy": 3.5}
        own = {"mse": 0.01, "psnr": 20.0, "ssim": ssim, "spatial_consistency": 0.2}
        return {**own, **gates, **kan}

    def _count(self, message: BatchMetrics, *, arrived: bool) -> None:
        books = self.books[message.phase]
        books.offered += 1
        books.delivered += arrived
        books.dropped += not arrived
        if not arrived:
            books.reasons = Counter({**books.reasons, "queue_full": books.dropped})
        self.store.put_books(self.origin, message.phase, books)


def write_run(
    folder: Path, *, epochs: int = 2, batches: int = 10, val_batches: int = 2, **overrides: Any
) -> RunWriter:
    """A run that has ended its epochs but not said how it ended; close it yourself."""
    run = RunWriter(folder, **overrides)
    for epoch in range(epochs):
        write_epoch_rows(run, epoch, batches=batches, val_batches=val_batches)
    return run


def write_epoch_rows(run: RunWriter, epoch: int, *, batches: int, val_batches: int) -> None:
    """One epoch of training, its validation, its end."""
    last = (epoch + 1) * batches
    for index in range(batches):
        number = epoch * batches + index + 1
        run.batch(number, epoch=epoch, batch_idx=index)
    for index in range(val_batches):
        number = epoch * val_batches + index + 1
        run.batch(number, phase="val", epoch=epoch, batch_idx=index, global_step=last)
    at = START_NS + (last + 1) * STEP_NS
    run.epoch(epoch, global_step=last, captured_at_ns=at)


def repeat_rows(run: RunWriter, *, times: int) -> None:
    """The released rows `times` over, by copying them: writing 20,000 anew takes long."""
    columns = [
        name
        for (name,) in run.store.connection.execute("SELECT name FROM pragma_table_info('batches')")
        if name not in ("release", "ordinal", "frame")
    ]
    names = ", ".join(columns)
    rows = run.release
    with run.store.transaction():
        for i in range(1, times):
            run.store.connection.execute(
                f"INSERT INTO batches (release, ordinal, {names}) "
                f"SELECT release + {i * rows}, ordinal + {i * rows}, {names} FROM batches "
                f"WHERE release <= {rows}"
            )
