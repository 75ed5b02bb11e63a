"""What the report needs of a run's rows, gathered in one pass."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.evolution import Evolution
from analyzer_service.sinks.moments import Moments, Table
from analyzer_service.sinks.plain import metrics_of

TIMINGS = ("training_time_ms", "inference_time_ms", "data_time_ms")


@dataclass
class Trace:
    """First, last, lowest and highest defined value of a metric, and the steps of the extremes."""

    first: float = math.nan
    last: float = math.nan
    low: float = math.nan
    low_step: int = 0
    high: float = math.nan
    high_step: int = 0

    def add(self, value: float | None, step: int) -> None:
        """Take the value at `step`; what is not finite is left out."""
        if value is None or not math.isfinite(value):
            return
        if math.isnan(self.first):
            self.first = value
        self.last = value
        if not value >= self.low:
            self.low, self.low_step = value, step
        if not value <= self.high:
            self.high, self.high_step = value, step


@dataclass
class PhaseBatches:
    """One phase of a run: statistics of its rows.

    Attributes
    ----------
    tiles, timed_tiles : int
        Tiles seen by the model; those of batches whose time is known.
    step_ms : float
        Sum of the times of those batches.
    """

    metrics: Table = field(default_factory=Table)
    timings: Table = field(default_factory=lambda: Table(quantiles=True))
    traces: dict[str, Trace] = field(default_factory=dict)
    tiles: int = 0
    timed_tiles: int = 0
    step_ms: float = 0.0

    @property
    def batches(self) -> int:
        """Number of rows."""
        return self.metrics.rows

    def add(self, values: Mapping[str, Any]) -> None:
        """Take one row."""
        self.metrics.add(metrics_of(values))
        self.timings.add({name: values.get(name) for name in TIMINGS})
        for name in ("loss", "ssim", "psnr", "memory_mb"):
            self.trace(name).add(values.get(name), values["phase_step"])
        self._add_tiles(values)

    def trace(self, name: str) -> Trace:
        """First, last and extreme values of a metric."""
        return self.traces.setdefault(name, Trace())

    def quantiles(self, name: str, *shares: float) -> list[float]:
        """Quantiles of a timing in ms; NaN when it never came."""
        column = self.timings.columns().get(name)
        kept = column.kept if column else None
        return kept.quantiles(*shares) if kept else [math.nan] * len(shares)

    def _add_tiles(self, values: Mapping[str, Any]) -> None:
        size, spent = values.get("batch_size"), values.get("training_time_ms")
        if size is None or not math.isfinite(size):
            return
        self.tiles += int(size)
        if spent is not None and math.isfinite(spent):
            self.timed_tiles += int(size)
            self.step_ms += spent


@dataclass
class RunBatches:
    """All rows of a run: a `PhaseBatches` each phase, the means of each epoch, the time span."""

    phases: dict[str, PhaseBatches]
    epochs: list[dict[str, Any]]
    first_at: float
    last_at: float

    def of_epoch(self, phase: str, epoch: int) -> dict[str, Any]:
        """Means of an epoch; empty when it has no rows."""
        key = (phase, epoch)
        return next((m for m in self.epochs if (m["phase"], m["epoch"]) == key), {})

    def epoch_numbers(self, phase: str) -> list[int]:
        """Epochs with rows of `phase`, ascending."""
        return [means["epoch"] for means in self.epochs if means["phase"] == phase]

    def moments(self, phase: str, name: str) -> Moments:
        """Statistics of a metric over the batches of a phase."""
        return self.phases[phase].metrics.moments(name)


def read_batches(reader: RunReader, release: int) -> RunBatches:
    """Gather the rows up to `release`."""
    phases = {"train": PhaseBatches(), "val": PhaseBatches()}
    evolution = Evolution()
    first_at, last_at = math.nan, math.nan
    for row in reader.rows(upto=release):
        values = row.values
        phases[values["phase"]].add(values)
        evolution.add(values["phase"], values["epoch"], metrics_of(values))
        first_at = values["timestamp"] if math.isnan(first_at) else first_at
        last_at = values["timestamp"]
    return RunBatches(phases, evolution.means(), first_at, last_at)
