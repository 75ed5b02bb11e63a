"""The report's pathology part: the tissue in numbers, and whether attention follows it."""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from analyzer_service.analyses.pathology_names import TISSUE_NUMBERS
from analyzer_service.analyses.run_pathology import TissueTest
from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.markdown import table
from analyzer_service.sinks.report_batches import RunBatches
from analyzer_service.sinks.report_tiles import Scale, Tiles
from analyzer_service.sinks.report_tissue_tests import tissue_tests
from analyzer_service.sinks.report_wording import mean_sd, plural
from shared.messages import Layer, RunStarted

POSITION_BIAS_LIMIT: Final = 0.8
"""Mean correlation between the maps of different tiles from which content hardly matters."""

_TITLES: Final = {"train": "Training", "val": "Validation"}
_UNITS: Final = {
    "hematoxylin_intensity": "OD",
    "eosin_intensity": "OD",
    "dab_intensity": "OD",
    "nuclear_area_mean": "px²",
    "nuclear_nn_distance": "px",
}
_SIZES: Final = {"nuclear_density": ("/mm²", "/10⁴ px")}
"""Units with and without a known pixel size."""
_VECTORS: Final = {"ruifrok": "Ruifrok's", "qupath": "QuPath's"}


@dataclass(frozen=True)
class PathologySection:
    """What the template shows; parts that say nothing are None."""

    tissue: str | None
    staining: str
    tests: str
    layers: list[tuple[str, str, str]]
    outcomes: tuple[TissueTest, ...]
    warnings: list[str]


def pathology_section(
    reader: RunReader, batches: RunBatches, tiles: Mapping[str, Tiles]
) -> PathologySection:
    """Numbers of the tissue and tests of attention against it."""
    started = reader.started()
    gates = [layer.name for layer in started.layers if layer.kind == "attention"]
    tests = tissue_tests(*reader.probe_tiles(), gates)
    scale = _scale_of(tiles.values(), started.mpp)
    return PathologySection(
        tissue=_tissue_table(tiles, scale),
        staining=f"{_staining(started, reader)} {_scale_words(scale)}",
        tests=tests.words,
        layers=tests.layers,
        outcomes=tests.outcomes,
        warnings=_warnings(started.layers, batches),
    )


def _scale_of(parts: Collection[Tiles], of_run: float | None) -> Scale:
    """Pixel sizes that tiles were measured with: where one does not say its own, the run's."""
    scale = Scale()
    for part in parts:
        scale.known += part.scale.known
        scale.unknown += part.scale.unknown
        scale.finest = min(scale.finest, part.scale.finest)
        scale.coarsest = max(scale.coarsest, part.scale.coarsest)
    if of_run is not None and scale.unknown:
        scale.known, scale.unknown = scale.known + scale.unknown, 0
        scale.finest, scale.coarsest = min(scale.finest, of_run), max(scale.coarsest, of_run)
    return scale


def _tissue_table(tiles: Mapping[str, Tiles], scale: Scale) -> str | None:
    shown = [part for part, found in tiles.items() if found.whole.rows]
    rows = [
        [
            f"`{name}`",
            *(mean_sd(tiles[part].over_run(name)) for part in shown),
            _unit(name, scale),
        ]
        for name in TISSUE_NUMBERS
        if any(name in tiles[part].whole.columns() for part in shown)
    ]
    if not rows:
        return None
    counted = [f"{_TITLES[part]}, {plural(tiles[part].whole.rows, 'tile')}" for part in shown]
    return table(
        ["Tissue, mean ± SD over tiles", *counted, "Unit"], rows, words=(0, len(shown) + 1)
    )


def _unit(name: str, scale: Scale) -> str:
    if name not in _SIZES:
        return _UNITS.get(name, "")
    known, unknown = _SIZES[name]
    if scale.known and scale.unknown:
        return f"{known} or {unknown}"
    return unknown if scale.unknown else known


def _staining(started: RunStarted, reader: RunReader) -> str:
    stains = {"ihc": "hematoxylin and DAB", "he": "hematoxylin and eosin"}
    named = stains.get(started.stain, "hematoxylin and eosin, assumed: the trainer did not say")
    choice, estimated = reader.stain_vectors()
    if estimated is not None:
        vectors = f"stain vectors {estimated}"
    elif choice == "macenko":
        vectors = "stain vectors not estimated, as no frame came"
    else:
        vectors = f"fixed stain vectors ({_VECTORS[choice or 'ruifrok']})"
    return f"Stains: {named}; {vectors}."


def _scale_words(scale: Scale) -> str:
    if not scale.known:
        return (
            "Scale: pixel size not known, so sizes are in pixels; nuclei are sought as if it were "
            "0.5 µm."
        )
    sizes = [f"{size:g}" for size in sorted({scale.finest, scale.coarsest})]
    words = f"Scale: {' to '.join(sizes)} µm a pixel"
    if scale.unknown:
        return (
            f"{words}; not known of {plural(scale.unknown, 'tile')}, whose sizes are in pixels: "
            "means over both say nothing."
        )
    return f"{words}."


def _warnings(layers: Sequence[Layer], batches: RunBatches) -> list[str]:
    """A layer whose maps are alike whatever the tile shows, by the end of the run."""
    phase = "val" if batches.phases["val"].batches else "train"
    found = []
    for layer in layers:
        bias = _last_known(batches, phase, f"attention_{layer.name}_attention_position_bias")
        if layer.kind == "attention" and bias >= POSITION_BIAS_LIMIT:
            found.append(
                f"**`{layer.name}` looks at the same places whatever the tile shows** (position "
                f"bias {bias:.2f}): what it has in common with the tissue is mostly a habit."
            )
    return found


def _last_known(batches: RunBatches, phase: str, name: str) -> float:
    """Mean over the last epoch that has a value: what was unlearned since says nothing."""
    for epoch in reversed(batches.epoch_numbers(phase)):
        mean = float(batches.of_epoch(phase, epoch).get(name, math.nan))
        if not math.isnan(mean):
            return mean
    return math.nan
