"""Runs of any length, made quickly: rows as a real run has them, and their rollups by the store."""

import math
from pathlib import Path

import numpy as np

from analyzer_service.commit import rollups
from analyzer_service.commit.store import Store
from tests.builders import make_run_started

LAYERS = ("bam_384", "bam_16")
KEYS = (
    *("epoch", "batch_idx", "global_step", "phase_step", "rank", "timestamp", "batch_size"),
    *("loss", "mse", "ssim", "psnr", "training_time_ms", "inference_time_ms", "data_time_ms"),
    *("memory_mb", "samples"),
)
METRICS = (
    *("attention_entropy", "attention_concentration_10", "attention_sparsity", "attention_gini"),
    *("attention_center_distance", "attention_radial_distance", "num_attention_peaks"),
    *(
        "peak_coverage",
        "attention_contrast",
        "attention_mean",
        "attention_std",
        "attention_moran_i",
    ),
)
NAMES = (
    *KEYS,
    *(f"attention_{layer}_{metric}" for layer in LAYERS for metric in METRICS),
    *(f"scalar_{number}" for number in range(80)),
)
_INSERT = (
    "INSERT INTO batches (release, origin, cseq, phase, ordinal, epoch, batch_idx, global_step, "
    "phase_step, rank, timestamp, loss, samples, name_list, metrics) "
    "VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, 0, ?, ?, 8, ?, ?)"
)
_PER_TRANSACTION = 5000
_NOISES = 997


class LongRun:
    """Rows are written one after the other, `flush`ed as the caller asks."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.store = Store(folder)
        name = folder.name.removeprefix("auto_analysis_")
        with self.store.transaction():
            self._origin = self.store.add_producer(make_run_started(run_id=name, run_name=name))
        query = "SELECT max(release), max(ordinal) FROM batches"
        release, ordinal = self.store.connection.execute(query).fetchone()
        self._release, self._ordinal = release or 0, ordinal or 0
        noise = np.random.default_rng(1).normal(0, 0.05, (_NOISES, len(NAMES)))
        self._noise = noise.astype(np.float64)
        self._places = {key: NAMES.index(key) for key in (*KEYS[:4], "timestamp", "loss", "ssim")}

    def fill(self, rows: int) -> None:
        """Write `rows` training rows."""
        for at in range(0, rows, _PER_TRANSACTION):
            with self.store.transaction():
                for _ in range(min(_PER_TRANSACTION, rows - at)):
                    self._add()

    def commit(self) -> int:
        """Commit one row; how many there are now."""
        with self.store.transaction():
            self._add()
        return self._ordinal

    def close(self) -> None:
        self.store.close()

    def _add(self) -> None:
        self._release += 1
        self._ordinal = step = self._ordinal + 1
        values = self._noise[step % _NOISES] + 0.5
        values[self._places["loss"]] = loss = 0.02 + 0.3 * math.exp(-step / 20_000)
        values[self._places["ssim"]] = 1 - 2 * loss
        values[self._places["epoch"]] = step // 1000
        values[self._places["global_step"]] = values[self._places["phase_step"]] = step
        values[self._places["timestamp"]] = 1.7e9 + step / 10
        number = self.store.lists.number(NAMES)
        keys = (self._release, self._origin, self._release, "train", step, step // 1000, step, step)
        row = (*keys, 1.7e9 + step / 10, loss, number, values.tobytes())
        self.store.connection.execute(_INSERT, row)
        rollups.add_row(self.store.connection, self.store.lists, "train", step)
