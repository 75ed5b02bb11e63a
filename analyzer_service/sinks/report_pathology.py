"""The report's pathology part: the tissue in numbers, and whether attention follows it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.pathology_names import FEATURES, TISSUE_NUMBERS
from analyzer_service.analyses.run_pathology import (
    CHANCE,
    FEWEST_TILES,
    LayerMaps,
    RunPathology,
    TissueTest,
    test_run,
)
from analyzer_service.commit.reader import ProbeTile, RunReader
from analyzer_service.figures.wording import number
from analyzer_service.sinks.markdown import table
from analyzer_service.sinks.report_batches import RunBatches
from analyzer_service.sinks.report_tiles import Tiles
from analyzer_service.sinks.report_wording import mean_sd, plural
from shared.messages import Layer, RunStarted

POSITION_BIAS_LIMIT: Final = 0.8
"""Mean correlation between the maps of different tiles from which content hardly matters."""

_TITLES: Final = {"train": "Training", "val": "Validation"}
_UNITS: Final = {
    "hematoxylin_intensity": "OD",
    "eosin_intensity": "OD",
    "dab_intensity": "OD",
    "nuclear_density": "/mm²; per 10⁴ px without a pixel size",
    "nuclear_area_mean": "px²",
    "nuclear_nn_distance": "px",
}
_WORDS: Final = {
    "tissue": "dense tissue (summed optical density)",
    "hematoxylin": "hematoxylin",
    "eosin": "eosin",
    "dab": "DAB",
    "nuclear_density": "dense nuclei",
    "color_variance": "strong color",
    "glcm_contrast": "coarse, contrasty texture",
    "glcm_homogeneity": "even texture",
    "glcm_energy": "uniform texture",
}


@dataclass(frozen=True)
class PathologySection:
    """What the template shows; parts that say nothing are None."""

    tissue: str | None
    staining: str
    tests: str
    layers: list[tuple[str, str, str]]
    warnings: list[str]


def pathology_section(
    reader: RunReader, batches: RunBatches, tiles: Mapping[str, Tiles]
) -> PathologySection:
    """Numbers of the tissue and tests of attention against it."""
    started = reader.started()
    epoch, probes = reader.probe_tiles()
    gates = [layer.name for layer in started.layers if layer.kind == "attention"]
    outcome = _tested(probes, gates, seed=epoch or 0)
    return PathologySection(
        tissue=_tissue_table(tiles),
        staining=_staining(started, reader.stain_vectors()),
        tests=_how_tested(outcome, epoch),
        layers=[
            (layer, _sentence(layer, outcome), _test_table(layer, outcome))
            for layer in gates
            if any(test.layer == layer for test in outcome.tests)
        ],
        warnings=_warnings(started.layers, batches),
    )


def _tested(probes: Sequence[ProbeTile], gates: Sequence[str], *, seed: int) -> RunPathology:
    layers = {
        layer: _stacked(probes, layer)
        for layer in gates
        if probes and all(f"attention/{layer}" in tile.maps for tile in probes)
    }
    slides = [tile.sample.slide for tile in probes]
    return test_run(layers, slides, seed=seed)


def _stacked(probes: Sequence[ProbeTile], layer: str) -> LayerMaps:
    gates = _stack(probes, f"attention/{layer}")
    grid = "x".join(map(str, gates.shape[1:]))
    return LayerMaps(
        gates=gates,
        features={
            name: _stack(probes, f"{grid}/{name}")
            for name in FEATURES
            if f"{grid}/{name}" in probes[0].maps
        },
        nuclei=_stack(probes, f"{grid}/nuclei"),
    )


def _stack(probes: Sequence[ProbeTile], name: str) -> NDArray[np.float64]:
    return np.stack([tile.maps[name] for tile in probes]).astype(np.float64)


def _tissue_table(tiles: Mapping[str, Tiles]) -> str | None:
    shown = [part for part, found in tiles.items() if found.whole.rows]
    rows = [
        [
            f"`{name}`",
            *(mean_sd(tiles[part].over_run(name)) for part in shown),
            _UNITS.get(name, ""),
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


def _staining(started: RunStarted, estimated: str | None) -> str:
    stains = {"ihc": "hematoxylin and DAB", "he": "hematoxylin and eosin"}
    named = stains.get(started.stain, "hematoxylin and eosin, assumed: the trainer did not say")
    vectors = "fixed stain vectors" if estimated is None else f"stain vectors {estimated}"
    scale = (
        f"{started.mpp:g} µm a pixel"
        if started.mpp
        else "pixel size not known: 0.5 µm are assumed, so sizes and densities are relative"
    )
    return f"Stains: {named}; {vectors}. Scale: {scale}."


def _how_tested(outcome: RunPathology, epoch: int | None) -> str:
    if outcome.tiles < FEWEST_TILES or not outcome.tests:
        return (
            f"{plural(outcome.tiles, 'validation tile')} with maps: at least {FEWEST_TILES} are "
            "needed to test whether attention follows the tissue."
        )
    where = (
        f"{plural(outcome.tiles, 'distinct validation tile')} of epoch {epoch}, "
        f"{plural(outcome.slides, 'slide') if outcome.slides else 'slides that are not named'}"
    )
    if outcome.by_slide:
        return f"{where}. Tissue was exchanged between slides; intervals are over slides."
    return (
        f"{where}. Tissue was exchanged between tiles; intervals are over tiles, which are not "
        "independent of each other, so they hold for this slide and say nothing of others."
    )


def _sentence(layer: str, outcome: RunPathology) -> str:
    """Attention on nuclei, as one would say it."""
    test = next(t for t in outcome.tests if (t.layer, t.kind) == (layer, "enrichment"))
    if math.isnan(test.p):
        return f"Attention of `{layer}` on nuclei: undefined ({plural(test.n, 'usable tile')})."
    return (
        f"Attention of `{layer}` falls on nuclei (found *approximately*) {test.matched:.2f} times "
        f"as often as chance, 95 % CI {test.low:.2f} to {test.high:.2f}, over "
        f"{plural(test.n, 'tile')}; with the nuclei of other tiles it would be "
        f"{test.mismatched:.2f} times. {_verdict(test)}"
    )


def _verdict(test: TissueTest) -> str:
    p = _p(test.p_adjusted)
    if not test.significant:
        return f"So it cannot be told from a habit that ignores the nuclei (adjusted p {p})."
    way = "seeks" if test.effect > 0 else "avoids"
    return f"So it {way} the nuclei of the tile at hand (adjusted p {p})."


def _test_table(layer: str, outcome: RunPathology) -> str:
    rows = [
        [
            _label(test),
            _interval(test.matched, test.low, test.high),
            number(test.mismatched),
            _interval(test.effect, test.effect_low, test.effect_high),
            _p(test.p_adjusted),
            _reading(test),
            f"{test.n:,}",
        ]
        for test in outcome.tests
        if test.layer == layer
    ]
    header = ["Attention against", "Own tissue (95 % CI)", "Other tiles' tissue"]
    return table(
        [*header, "Difference (95 % CI)", "Adjusted p", "In words", "Tiles"], rows, words=(0, 5)
    )


def _label(test: TissueTest) -> str:
    if test.kind == "enrichment":
        return "nuclei, times chance"
    if test.kind == "auc":
        return f"nuclei, AUC (chance {CHANCE['auc']:g})"
    return f"{test.feature.replace('_', ' ')}, r"


def _reading(test: TissueTest) -> str:
    if math.isnan(test.p):
        return "too few tiles"
    if not test.significant:
        return "no effect shown"
    what = _WORDS.get(test.feature, test.feature)
    return f"attention {'seeks' if test.effect > 0 else 'avoids'} {what}"


def _interval(value: float, low: float, high: float) -> str:
    if math.isnan(low):
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _warnings(layers: Sequence[Layer], batches: RunBatches) -> list[str]:
    """A layer whose maps are alike whatever the tile shows."""
    phase = "val" if batches.phases["val"].batches else "train"
    found = []
    for layer in layers:
        bias = batches.moments(phase, f"attention_{layer.name}_attention_position_bias")
        if layer.kind == "attention" and bias.n and bias.mean >= POSITION_BIAS_LIMIT:
            found.append(
                f"**`{layer.name}` looks at the same places whatever the tile shows** (position "
                f"bias {bias.mean:.2f}): what it has in common with the tissue is mostly a habit."
            )
    return found
