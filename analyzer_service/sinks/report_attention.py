"""The report's attention tables: each layer's metrics over tiles, epoch by epoch, by range."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from analyzer_service.figures.ranges import GUIDE, Ranges
from analyzer_service.sinks.markdown import table
from analyzer_service.sinks.report_batches import RunBatches
from analyzer_service.sinks.report_tiles import Tiles
from analyzer_service.sinks.report_wording import METRICS, change, mean_sd, plural
from shared.messages import Layer

_COUNTS = ("undefined", "flat", "low_contrast")
# One value per batch, not per tile: it compares the batch's tiles with each other.
_PER_BATCH = "attention_position_bias"
_TITLES = {"train": "Training", "val": "Validation"}
_TILES = {"train": "training tile", "val": "validation tile"}
_VERDICTS = {"in": "in", "below": "**below**", "above": "**above**", "undefined": "undefined"}


@dataclass(frozen=True)
class LayerSection:
    """One attention layer: its name, its table, what its maps were like, in words."""

    name: str
    table: str
    maps: str


def layer_sections(
    layers: Sequence[Layer],
    batches: RunBatches,
    tiles: dict[str, Tiles],
    *,
    phase: str,
    ranges: Ranges = GUIDE,
) -> list[LayerSection]:
    """One section for each attention layer; `phase` is whose epochs are compared."""
    gates = [layer.name for layer in layers if layer.kind == "attention"]
    return [
        LayerSection(
            name=name,
            table=_layer_table(name, gates, batches, tiles, phase=phase, ranges=ranges),
            maps=_maps_in_words(name, batches),
        )
        for name in gates
    ]


def agreement(tiles: dict[str, Tiles]) -> str | None:
    """How far the maps of different layers agree, in words; None with a single layer."""
    moments = {part: found.over_run("spatial_consistency") for part, found in tiles.items()}
    said = [
        f"{mean_sd(found)} over {plural(found.n, _TILES[part])}"
        for part, found in moments.items()
        if found.n
    ]
    if not said:
        return None
    return (
        f"Agreement between the layers (`spatial_consistency`, 1 is the same place, 0 is "
        f"unrelated): {', '.join(said)}."
    )


def activation_table(layers: Sequence[Layer], tiles: dict[str, Tiles]) -> str | None:
    """Metrics of the mean absolute activation of KAN layers, over training tiles."""
    names = [layer.name for layer in layers if layer.kind == "activation"]
    train = tiles["train"]
    keys = _in_order({key for name in names for key in _keys(train, "activation", name, names)})
    if not keys:
        return None
    rows = [
        [f"`{key}`", *(mean_sd(train.over_run(f"activation_{name}_{key}")) for name in names)]
        for key in keys
    ]
    return table(["Training tiles, mean ± SD", *(f"`{name}`" for name in names)], rows)


def explained(sections: Sequence[LayerSection]) -> list[str]:
    """What the metrics of these tables mean, one line each."""
    tables = "".join(section.table for section in sections)
    return [f"`{key}` – {text}" for key, text in METRICS.items() if f"`{key}`" in tables]


def _layer_table(
    name: str,
    gates: Sequence[str],
    batches: RunBatches,
    tiles: dict[str, Tiles],
    *,
    phase: str,
    ranges: Ranges,
) -> str:
    start = f"attention_{name}_"
    shown = [part for part, found in tiles.items() if found.whole.rows]
    keys = {key for part in shown for key in _keys(tiles[part], "attention", name, gates)}
    rows = [
        [
            f"`{key}`",
            *(_over_run(tiles[part], start + key) for part in shown),
            *_evolution(key, *tiles[phase].evolution(start + key), ranges),
        ]
        for key in _in_order(keys)
    ]
    if any(batches.moments(part, start + _PER_BATCH).n for part in shown):
        means = [mean_sd(batches.moments(part, start + _PER_BATCH)) for part in shown]
        ends = _epoch_ends(batches, phase, start + _PER_BATCH)
        rows.append([f"`{_PER_BATCH}`", *means, *_evolution(_PER_BATCH, *ends, ranges)])
    counted = [f"{_TITLES[part]}, {plural(tiles[part].whole.rows, 'tile')}" for part in shown]
    header = ["Metric", *counted, "First → last epoch", "Good range", "Last epoch"]
    return table(header, rows)


def _over_run(tiles: Tiles, name: str) -> str:
    return mean_sd(tiles.over_run(name)) if name in tiles.whole.columns() else "–"


def _evolution(key: str, first: float, last: float, ranges: Ranges) -> list[str]:
    good = next((each for each in ranges.attention if each.key == key), None)
    judged = [good.text(), _VERDICTS[good.judge(last)]] if good else ["–", "–"]
    return [change(first, last), *judged]


def _epoch_ends(batches: RunBatches, phase: str, name: str) -> tuple[float, float]:
    means = [
        batches.of_epoch(phase, number).get(name, math.nan)
        for number in batches.epoch_numbers(phase)
    ]
    return (means[0], means[-1]) if means else (math.nan, math.nan)


def _maps_in_words(name: str, batches: RunBatches) -> str:
    counts = dict.fromkeys(_COUNTS, 0)
    for phase in batches.phases:
        for kind in _COUNTS:
            moments = batches.moments(phase, f"attention_{name}_{kind}")
            counts[kind] += round(moments.mean * moments.n) if moments.n else 0
    return (
        f"Without a value: {plural(counts['undefined'], 'tile')}; with a constant map: "
        f"{counts['flat']:,}; with weak contrast: {counts['low_contrast']:,}."
    )


def _keys(tiles: Tiles, kind: str, name: str, names: Iterable[str]) -> list[str]:
    """Metrics of one layer, without those of layers whose names only begin like its own."""
    start = f"{kind}_{name}_"
    others = tuple(f"{kind}_{other}_" for other in names if other.startswith(f"{name}_"))
    return [
        column[len(start) :]
        for column in tiles.whole.columns()
        if column.startswith(start) and not (others and column.startswith(others))
    ]


def _in_order(keys: set[str]) -> list[str]:
    known = [key for key in METRICS if key in keys]
    return known + sorted(keys - set(known) - set(_COUNTS))
