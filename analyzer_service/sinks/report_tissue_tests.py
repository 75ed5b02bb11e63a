"""The report's tests of attention against tissue, made and put into words."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.pathology_names import FEATURES
from analyzer_service.analyses.run_pathology import (
    ALPHA,
    CHANCE,
    FEWEST_SLIDES,
    FEWEST_TILES,
    LayerMaps,
    RunPathology,
    TissueTest,
    test_run,
)
from analyzer_service.commit.reader import ProbeTile
from analyzer_service.figures.wording import number
from analyzer_service.sinks.markdown import table
from analyzer_service.sinks.report_wording import feature, plural

_THESE: Final = "the slides of these tiles"
_IF_SEVERAL: Final = (
    "If they are of several slides, whose tiles resemble each other, p-values are too small."
)

_WORDS: Final = {
    "tissue": "dense tissue (summed optical density)",
    "hematoxylin": "hematoxylin",
    "eosin": "eosin",
    "dab": "DAB",
    "nuclear_density": "dense nuclei",
    "color_variance": "strong color",
    "glcm_contrast": "texture of strong contrast",
    "glcm_homogeneity": "even texture",
    "glcm_energy": "uniform texture",
}


@dataclass(frozen=True)
class TissueTests:
    """The tests of a run.

    Attributes
    ----------
    words : str
        Which tiles they were made on, and what was exchanged; or why there are none.
    layers : list of tuple of str
        Each tested layer: its name, what it does with nuclei in a sentence, all of its tests.
    outcomes : tuple of TissueTest
        The tests themselves.
    """

    words: str
    layers: list[tuple[str, str, str]]
    outcomes: tuple[TissueTest, ...] = ()


def tissue_tests(
    epoch: int | None, probes: Sequence[ProbeTile], gates: Sequence[str]
) -> TissueTests:
    """Test the layers `gates` on tiles of validation epoch `epoch`."""
    alike = _alike(probes)
    tiles = _of_named_slides(alike)
    layers = {
        layer: _stacked(tiles, layer)
        for layer in gates
        if tiles and f"attention/{layer}" in tiles[0].maps
    }
    outcome = test_run(layers, [tile.sample.slide for tile in tiles], seed=epoch or 0)
    if len(tiles) < FEWEST_TILES or not outcome.tests:
        return TissueTests(_why_not(tiles, len(probes)), [])
    left_out = {
        "their maps have other sizes or layers": len(probes) - len(alike),
        "their slides are not named": len(alike) - len(tiles),
    }
    return TissueTests(
        _how(outcome, epoch, tiles, left_out),
        [(layer, _sentence(layer, outcome), _test_table(layer, outcome)) for layer in layers],
        outcome.tests,
    )


def _alike(probes: Sequence[ProbeTile]) -> list[ProbeTile]:
    """The tiles with the maps, and sizes of them, that most tiles have."""
    layouts = [tuple((name, maps.shape) for name, maps in tile.maps.items()) for tile in probes]
    common = Counter(layouts).most_common(1)
    return [tile for tile, layout in zip(probes, layouts, strict=True) if layout == common[0][0]]


def _of_named_slides(tiles: list[ProbeTile]) -> list[ProbeTile]:
    """The tiles to test: without the unnamed, where enough others are of several slides.

    One tile of an unknown slide would otherwise have tissue exchanged between tiles, and the
    tiles of a slide counted as that many slides.
    """
    named = [tile for tile in tiles if tile.sample.slide is not None]
    several = len({tile.sample.slide for tile in named}) >= FEWEST_SLIDES
    enough = len(named) >= max(FEWEST_TILES, len(tiles) / 2)
    return named if several and enough else tiles


def _stacked(tiles: Sequence[ProbeTile], layer: str) -> LayerMaps:
    gates = _stack(tiles, f"attention/{layer}")
    grid = "x".join(map(str, gates.shape[1:]))
    return LayerMaps(
        gates=gates,
        features={
            name: _stack(tiles, f"{grid}/{name}")
            for name in FEATURES
            if f"{grid}/{name}" in tiles[0].maps
        },
        nuclei=_stack(tiles, f"{grid}/nuclei"),
    )


def _stack(tiles: Sequence[ProbeTile], name: str) -> NDArray[np.float64]:
    return np.stack([tile.maps[name] for tile in tiles]).astype(np.float64)


def _why_not(tiles: Sequence[ProbeTile], kept: int) -> str:
    needed = "to test whether attention follows the tissue"
    if len(tiles) < FEWEST_TILES:
        with_maps = "with maps" if len(tiles) == kept else "with maps of one size"
        return (
            f"{plural(len(tiles), 'validation tile')} {with_maps}: at least {FEWEST_TILES} are "
            f"needed {needed}."
        )
    return f"None of the run's attention layers has maps of the validation tiles {needed} on."


def _how(
    outcome: RunPathology,
    epoch: int | None,
    tiles: Sequence[ProbeTile],
    left_out: Mapping[str, int],
) -> str:
    unknown = sum(tile.sample.slide is None for tile in tiles)
    words = (
        f"{plural(outcome.tiles, 'distinct validation tile')} of epoch {epoch}, "
        f"{_slides(outcome.slides, unknown)}"
    )
    for why, count in left_out.items():
        if count:
            words += f" ({count:,} more {'is' if count == 1 else 'are'} left out: {why})"
    if outcome.by_slide:
        return f"{words}. Tissue was exchanged between slides; intervals are over slides."
    of_one = (outcome.slides, unknown) == (1, 0)
    words += (
        f". Tissue was exchanged between tiles; intervals are over tiles, which are not "
        f"independent of each other, so they hold for {'this slide' if of_one else _THESE} and say "
        "nothing of others."
    )
    return words if of_one else f"{words} {_IF_SEVERAL}"


def _slides(known: int, unknown: int) -> str:
    if not known:
        return "slides that are not named"
    also = f" and {plural(unknown, 'tile')} whose slide is not named" if unknown else ""
    return f"{plural(known, 'slide')}{also}"


def _sentence(layer: str, outcome: RunPathology) -> str:
    """Attention on nuclei, as one would say it."""
    test = next(t for t in outcome.tests if (t.layer, t.kind) == (layer, "enrichment"))
    if math.isnan(test.matched):
        return f"Attention of `{layer}` on nuclei: undefined ({plural(test.n, 'usable tile')})."
    if math.isnan(test.p):
        return (
            f"Attention of `{layer}` falls on nuclei (found *approximately*) "
            f"{number(test.matched)} times as often as chance over {plural(test.n, 'tile')}: "
            f"{_reading(test)} to test whether it follows them."
        )
    return (
        f"Attention of `{layer}` falls on nuclei (found *approximately*) {number(test.matched)} "
        f"times as often as chance, 95 % CI {number(test.low)} to {number(test.high)}, over "
        f"{plural(test.n, 'tile')}; with the nuclei of other tiles it would be "
        f"{number(test.mismatched)} times. {_verdict(test)}"
    )


def _verdict(test: TissueTest) -> str:
    p = f"adjusted p {_p(test.p_adjusted)}"
    if not test.significant:
        return f"So it cannot be told from a habit that ignores the nuclei ({p})."
    if not test.directed:
        return (
            f"So it depends on the nuclei of the tile at hand, but whether it seeks or avoids them "
            f"is not shown ({p})."
        )
    if _weakens_habit(test):
        if _is_at_chance(test):
            amount = "more" if test.effect > 0 else "less"
            return f"So {amount} of it falls on nuclei than its habit alone would bring ({p})."
        what = "keeps away from nuclei" if test.effect > 0 else "falls on nuclei"
        return f"So it {what}, but less than its habit alone would ({p})."
    way = "seeks" if test.effect > 0 else "avoids"
    return f"So it {way} the nuclei of the tile at hand ({p})."


def _weakens_habit(test: TissueTest) -> bool:
    """Whether what attention does beyond its habit only weakens what it does in all."""
    return test.effect * (test.matched - CHANCE[test.kind]) < 0


def _is_at_chance(test: TissueTest) -> bool:
    """Whether what attention does in all cannot be told from chance."""
    return test.low <= CHANCE[test.kind] <= test.high


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
    return f"{feature(test.feature)}, r"


def _reading(test: TissueTest) -> str:
    if math.isnan(test.p):
        return "too few usable tiles" if test.n < FEWEST_TILES else "too few slides"
    if not test.significant:
        return "no effect shown"
    what = _WORDS.get(test.feature, test.feature)
    if not test.directed:
        return f"attention depends on {what}, which way is not shown"
    if _weakens_habit(test):
        if _is_at_chance(test):
            return f"{'more' if test.effect > 0 else 'less'} attention to {what} than by habit"
        way = "avoids" if test.effect > 0 else "seeks"
        return f"attention {way} {what}, less than by habit"
    return f"attention {'seeks' if test.effect > 0 else 'avoids'} {what}"


def _interval(value: float, low: float, high: float) -> str:
    if math.isnan(low):
        return number(value)
    return f"{number(value)} ({number(low)} to {number(high)})"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    if ALPHA < value < ALPHA + 0.0005:  # it would read as the level itself
        return f"> {ALPHA:.3f}"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
