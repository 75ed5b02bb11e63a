"""Whether a run's attention follows the tissue: tests over many tiles, with intervals.

Each number compares every tile's attention with its own tissue (matched) and with the tissue of
every other tile (mismatched). What the tile shows matters as far as the two differ: a habit of the
layer (the center, a border) is in both. Tiles are permuted between slides where there are
several. Intervals are bootstrapped over slides, or over tiles where there is one slide; then
they speak of that slide only. p-values are adjusted over all layers and numbers of the run.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np

from analyzer_service.analyses import significance
from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.overlap import auc_matrix, enrichment_matrix
from analyzer_service.analyses.pathology_names import FEATURES

FEWEST_TILES: Final = 4
"""With fewer there are too few ways to mismatch them for any p-value below 0.05."""
FEWEST_SLIDES: Final = 2
LEVEL: Final = 0.95
ALPHA: Final = 0.05

Kind = Literal["correlation", "enrichment", "auc"]
CHANCE: Final[Mapping[Kind, float]] = {"correlation": 0.0, "enrichment": 1.0, "auc": 0.5}
RANGE: Final[Mapping[Kind, tuple[float, float]]] = {
    "correlation": (-1.0, 1.0),
    "enrichment": (0.0, math.inf),
    "auc": (0.0, 1.0),
}
"""What each number can be: intervals, which are wide of two slides, end there."""


@dataclass(frozen=True, slots=True)
class LayerMaps:
    """Gates of one layer and the tissue on their grid, tile by tile.

    Attributes
    ----------
    gates : ndarray of shape (N, h, w)
    features : mapping of str to ndarray of shape (N, h, w)
        Maps by the names of `FEATURES`.
    nuclei : ndarray of shape (N, h, w)
        Share of each cell that nuclei cover.
    """

    gates: Floats
    features: Mapping[str, Floats]
    nuclei: Floats


@dataclass(frozen=True, slots=True)
class TissueTest:
    """One number of one layer over the run's tiles.

    Attributes
    ----------
    kind : str
        ``correlation`` (Pearson's r, chance 0), ``enrichment`` (chance 1) or ``auc`` (chance 0.5).
    feature : str
        Of `FEATURES`, or ``nuclei``.
    n : int
        Tiles whose attention and tissue both vary.
    matched, mismatched : float
        Mean over tiles with their own tissue, and with that of other tiles.
    low, high : float
        95 % interval of `matched`, inside `RANGE`.
    effect, effect_low, effect_high : float
        ``matched - mismatched`` with its interval.
    p, p_adjusted : float
        Of the mismatched-tile permutation; adjusted by Benjamini and Hochberg.
    """

    layer: str
    kind: Kind
    feature: str
    n: int
    matched: float
    low: float
    high: float
    mismatched: float
    effect: float
    effect_low: float
    effect_high: float
    p: float
    p_adjusted: float = math.nan

    @property
    def significant(self) -> bool:
        """Whether attention depends on this tissue, beyond a habit."""
        return self.p_adjusted <= ALPHA

    @property
    def directed(self) -> bool:
        """Whether it also follows this tissue, or keeps away from it, on the whole.

        Half of the tiles that follow and half that keep away depend on it, too, so the test
        alone cannot tell; nor can few slides. The interval of the effect must leave 0 out.
        """
        return self.significant and not self.effect_low <= 0.0 <= self.effect_high


@dataclass(frozen=True, slots=True)
class RunPathology:
    """All tests of a run.

    `slides` counts the slides that the tiles name; `by_slide` tells whether there were enough to
    permute between them and to bootstrap over them.
    """

    tiles: int
    slides: int
    by_slide: bool
    tests: tuple[TissueTest, ...]


def test_run(
    layers: Mapping[str, LayerMaps], slides: Sequence[str | None], *, seed: int
) -> RunPathology:
    """Test every layer against every feature and against nuclei.

    Parameters
    ----------
    layers : mapping of str to LayerMaps
        All with the same tiles in the same order.
    slides : sequence of str or None, length N
        The slide of each tile; None is unknown.
    seed : int
        Of the permutations and resamples.
    """
    known = {slide for slide in slides if slide is not None}
    by_slide = len(known) >= FEWEST_SLIDES and None not in slides
    groups = [str(slide) for slide in slides] if by_slide else None
    tests = [
        _test(matrix, groups, (layer, kind, feature), seed)
        for layer, maps in layers.items()
        for kind, feature, matrix in _matrices(maps)
    ]
    adjusted = significance.benjamini_hochberg(np.array([test.p for test in tests]))
    corrected = (
        replace(test, p_adjusted=float(q)) for test, q in zip(tests, adjusted, strict=True)
    )
    return RunPathology(len(slides), len(known), by_slide, tuple(corrected))


def _matrices(maps: LayerMaps) -> list[tuple[Kind, str, Floats]]:
    """Values [i, j] of attention i with the tissue of tile j."""
    found: list[tuple[Kind, str, Floats]] = [
        ("enrichment", "nuclei", enrichment_matrix(maps.gates, maps.nuclei)),
        ("auc", "nuclei", auc_matrix(maps.gates, maps.nuclei)),
    ]
    return found + [
        ("correlation", name, significance.correlation_matrix(maps.gates, maps.features[name]))
        for name in FEATURES
        if name in maps.features
    ]


def _test(
    matrix: Floats, groups: Sequence[str] | None, names: tuple[str, Kind, str], seed: int
) -> TissueTest:
    layer, kind, feature = names
    defined = np.isfinite(np.diagonal(matrix))
    pairs = matrix[np.ix_(defined, defined)]
    kept = None if groups is None else [g for g, ok in zip(groups, defined, strict=True) if ok]
    own = np.diagonal(pairs)
    if len(own) < FEWEST_TILES or (kept is not None and len(set(kept)) < FEWEST_SLIDES):
        return _too_few(names, own)
    outcome = significance.mismatched_test_of(pairs, groups=kept, seed=seed)
    if outcome.exact and 1.0 / outcome.permutations > ALPHA:  # two slides of two tiles, say
        return _too_few(names, own)
    of_own = significance.cluster_bootstrap(own, kept, level=LEVEL, seed=seed)
    effects = significance.tile_effects(pairs, groups=kept)
    of_effect = significance.cluster_bootstrap(effects, kept, level=LEVEL, seed=seed)
    least, most = RANGE[kind]
    return TissueTest(
        *(layer, kind, feature, len(own)),
        *(of_own.mean, *_limits(of_own, least, most), outcome.mismatched_mean),
        *(of_effect.mean, *_limits(of_effect, least - most, most - least), outcome.p),
    )


def _limits(found: significance.BootstrapInterval, least: float, most: float) -> tuple[float, ...]:
    """Ends of an interval, where they are beyond what its number can be, that."""
    low, high = np.clip([found.low, found.high], least, most).tolist()
    return low, high


def _too_few(names: tuple[str, Kind, str], own: Floats) -> TissueTest:
    layer, kind, feature = names
    mean = float(own.mean()) if len(own) else math.nan
    unknown = (math.nan,) * 2
    return TissueTest(
        *(layer, kind, feature, len(own), mean, *unknown, math.nan),
        *(math.nan, *unknown, math.nan),
    )
