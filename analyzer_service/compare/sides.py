"""One run as far as a comparison needs it: its settings, and its last epoch in numbers."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.moments import Moments, Table
from analyzer_service.sinks.plain import metrics_of
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
    batches: dict[Phase, Table]
    tiles: TileValues

    def moments(self, phase: Phase, name: str) -> Moments:
        """Statistics of a metric over the batches of the last epoch."""
        return self.batches[phase].moments(name)

    def median(self, phase: Phase, name: str) -> tuple[float, int]:
        """Median over the batches of the last epoch, and how many they are."""
        column = self.batches[phase].columns().get(name)
        if column is None or column.kept is None:
            return math.nan, 0
        return column.kept.quantiles(0.5)[0], column.moments.n


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
        batches: dict[Phase, Table] = {
            "train": Table(quantiles=True),
            "val": Table(quantiles=True),
        }
        if epoch is not None:
            for row in reader.rows(epoch=epoch, upto=state.released):
                batches[row.values["phase"]].add(metrics_of(row.values))
        return Side(
            folder=folder,
            started=started,
            status=state.status,
            released=state.released,
            epoch=epoch,
            ended=ended,
            batches=batches,
            tiles=_tiles(reader, epoch, state.released),
        )


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
