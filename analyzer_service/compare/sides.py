"""One run as far as a comparison needs it: its settings, and its last epoch in numbers."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.stretches import Stretch
from analyzer_service.commit.totals import Totals
from analyzer_service.sinks.moments import Moments
from analyzer_service.sinks.phase_rows import Times, Timing
from analyzer_service.sinks.report_evidence import primary_layer
from shared.messages import Phase, RunStarted, Sample

TIMINGS: Final = ("training_time_ms", "inference_time_ms")
_OF_TILES: Final = ("ssim", "psnr", "mse")
_OF_GATES: Final = (
    "attention_entropy",
    "attention_concentration_10",
    "attention_sparsity",
    "attention_center_distance",
    "num_attention_peaks",
)


@dataclass(frozen=True)
class TileValues:
    """The validation tiles of an epoch, and their values by metric; undefined is NaN."""

    samples: tuple[Sample, ...]
    values: dict[str, tuple[float, ...]]


@dataclass(frozen=True)
class EpochBatches:
    """The batches of an epoch: how many, statistics of their numbers, their times."""

    rows: int
    moments: dict[str, Moments]
    timings: dict[str, Timing]


@dataclass(frozen=True)
class Side:
    """A run: what it said at its start, how it stands, its last epoch.

    Attributes
    ----------
    epoch : int or None
        The last one that ended, or the last one with rows where none did; None without rows.
    ended : bool
        Whether that epoch ended.
    """

    folder: Path
    started: RunStarted
    status: str
    released: int
    epoch: int | None
    ended: bool
    batches: dict[Phase, EpochBatches]
    tiles: TileValues

    def moments(self, phase: Phase, name: str) -> Moments:
        """Statistics of a metric over the batches of the last epoch."""
        return self.batches[phase].moments.get(name, Moments())

    def median(self, phase: Phase, name: str) -> tuple[float, int]:
        """Median over the batches of the last epoch, and how many they are."""
        found = self.batches[phase].timings[name]
        return found.median, found.n


def read_side(folder: Path) -> Side:
    """Read a run, as far as it is released now.

    Raises
    ------
    ConfigurationError
        If `folder` holds no run.
    """
    with RunReader(folder) as reader:
        started, state = reader.started(), reader.state()
        epoch, ended = _last_epoch(reader, state.released)
        return Side(
            folder=folder,
            started=started,
            status=state.status,
            released=state.released,
            epoch=epoch,
            ended=ended,
            batches={
                phase: read_epoch(reader, phase, epoch, state.released)
                for phase in ("train", "val")
            },
            tiles=_tiles(reader, epoch, state.released),
        )


def read_epoch(reader: RunReader, phase: Phase, epoch: int | None, released: int) -> EpochBatches:
    """The batches of an epoch up to row `released`; none where `epoch` is None."""
    stretches = reader.stretches(phase, upto=released)
    times, rows = Times(), 0

    def again() -> Iterator[Stretch]:
        return iter(()) if epoch is None else stretches.of_epoch(epoch)

    def taken() -> Iterator[Stretch]:
        nonlocal rows
        for stretch in again():
            rows += stretch.rows
            times.extend(stretch)
            yield stretch

    moments = Moments.by_name(Totals.of(taken()))
    return EpochBatches(rows, moments, times.timings(again))


def _last_epoch(reader: RunReader, released: int) -> tuple[int | None, bool]:
    epochs = reader.epochs()
    if epochs:
        return epochs[-1].epoch, True
    return (int(reader.row(released).values["epoch"]), False) if released else (None, False)


def _tiles(reader: RunReader, epoch: int | None, released: int) -> TileValues:
    """Values of the metrics that are compared; a gate's are those of the run's primary layer."""
    if epoch is None:
        return TileValues((), {})
    layer = primary_layer(reader.started())
    sources = {name: name for name in _OF_TILES}
    if layer is not None:
        sources |= {name: f"attention_{layer}_{name}" for name in _OF_GATES}
        sources["nuclear_attention_auc"] = f"nuclear_attention_auc_{layer}"
    found: dict[Sample, list[float]] = {}
    for tile in reader.sample_values(phase="val", epoch=epoch, upto=released):
        values = [tile.values.get(source, math.nan) for source in sources.values()]
        found.setdefault(tile.sample, values)  # ranks may show one tile twice
    columns = np.asarray(list(found.values())).reshape(len(found), len(sources)).T
    return TileValues(
        tuple(found), {name: tuple(c.tolist()) for name, c in zip(sources, columns, strict=True)}
    )
