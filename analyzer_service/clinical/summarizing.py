"""Scores of many tiles as means with intervals: never pooled over pixels, slides drawn whole."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from analyzer_service.analyses.bootstrap import BootstrapInterval, cluster_bootstrap
from analyzer_service.analyses.run_pathology import LayerMaps, TissueTest, test_run
from analyzer_service.analyses.tile_choice import choose_tiles
from analyzer_service.clinical.scoring import (
    AGREEMENT,
    EMPTY_SCORES,
    PAIR_AGREEMENT,
    SCORES,
    Agreement,
    Pair,
)
from shared.messages import Sample

SEED: Final = 0
"""Of resamples and permutations: the same annotations give the same report."""

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class ScoredTile:
    """One annotated tile and its scores.

    Attributes
    ----------
    shape : (int, int)
        Rows and columns of its image.
    pairs, agreements
        As `scoring.pairs` and `scoring.agreements` have them.
    """

    sample: Sample
    epoch: int
    global_step: int
    shape: tuple[int, int]
    pairs: Sequence[Pair]
    agreements: Sequence[Agreement]


@dataclass(frozen=True, slots=True)
class PairKey:
    """Which layer, against which reader and class."""

    reader: str
    label: str
    layer: str


@dataclass(frozen=True)
class Summary:
    """Means over tiles.

    Attributes
    ----------
    tiles, slides : int
        How many; slides are 0 where none is named.
    by_slide : bool
        Whether intervals are over slides; if not they are over tiles, and hold for these slides.
    means : mapping of str to BootstrapInterval
    """

    tiles: int
    slides: int
    by_slide: bool
    means: Mapping[str, BootstrapInterval]


@dataclass(frozen=True, slots=True)
class OwnOrOthers:
    """Whether attention fits a tile's own annotation better than those of other tiles."""

    reader: str
    label: str
    test: TissueTest


def attention(tiles: Iterable[ScoredTile], *, annotated: bool) -> dict[PairKey, Summary]:
    """Each layer against each reader and class, over tiles that have it marked, or have it not."""
    found: dict[PairKey, list[tuple[str | None, Mapping[str, float]]]] = {}
    for tile in tiles:
        for pair in tile.pairs:
            if pair.annotated == annotated:
                rows = found.setdefault(_key(pair), [])
                rows.append((tile.sample.slide, pair.scores))
    names = SCORES if annotated else EMPTY_SCORES
    return {key: _summary(rows, names) for key, rows in found.items()}


def by_slide(tiles: Iterable[ScoredTile]) -> dict[tuple[PairKey, str], Summary]:
    """The same for each slide that is named, over its own tiles."""
    found: dict[tuple[PairKey, str], list[tuple[str | None, Mapping[str, float]]]] = {}
    for tile in tiles:
        for pair in tile.pairs:
            if pair.annotated and tile.sample.slide is not None:
                rows = found.setdefault((_key(pair), tile.sample.slide), [])
                rows.append((tile.sample.slide, pair.scores))
    return {key: _summary(found[key], SCORES) for key in sorted(found, key=str)}


def agreement(tiles: Iterable[ScoredTile]) -> dict[tuple[str, tuple[str, ...]], Summary]:
    """Agreement by class and pair of readers, or none for all who read the tile."""
    found: dict[tuple[str, tuple[str, ...]], list[tuple[str | None, Mapping[str, float]]]] = {}
    for tile in tiles:
        for one in tile.agreements:
            rows = found.setdefault((one.label, one.between), [])
            rows.append((tile.sample.slide, one.values))
    return {
        key: _summary(rows, PAIR_AGREEMENT if key[1] else AGREEMENT) for key, rows in found.items()
    }


def own_or_others(tiles: Iterable[ScoredTile]) -> list[OwnOrOthers]:
    """Test each layer, reader and class, over at most 512 tiles, p adjusted for each class.

    A layer that always looks at the same places does as well on other tiles' annotations. Left
    out where the gates of a layer, or its tiles, differ in size.
    """
    found: dict[tuple[str, str], list[tuple[Sample, dict[str, Pair]]]] = {}
    for tile in tiles:
        layers: dict[tuple[str, str], dict[str, Pair]] = {}
        for pair in tile.pairs:
            if pair.annotated:
                layers.setdefault((pair.reader, pair.label), {})[pair.layer] = pair
        for key, of_layer in layers.items():
            found.setdefault(key, []).append((tile.sample, of_layer))
    chosen = {key: _chosen(rows) for key, rows in found.items()}
    return [
        OwnOrOthers(*key, test)
        for key, rows in chosen.items()
        for test in test_run(_stacks(rows), _slides(rows), seed=SEED).tests
    ]


def _key(pair: Pair) -> PairKey:
    return PairKey(pair.reader, pair.label, pair.layer)


def _summary(
    rows: Sequence[tuple[str | None, Mapping[str, float]]], names: Sequence[str]
) -> Summary:
    slides = [slide for slide, _ in rows]
    known = {slide for slide in slides if slide is not None}
    clusters = [str(slide) for slide in slides] if len(known) > 1 and None not in slides else None
    means = {
        name: cluster_bootstrap([values[name] for _, values in rows], clusters, seed=SEED)
        for name in names
    }
    return Summary(len(rows), len(known), clusters is not None, means)


def _chosen(
    rows: Sequence[tuple[Sample, dict[str, Pair]]],
) -> list[tuple[Sample, dict[str, Pair]]]:
    """At most as many as are tested against one another, in their own order."""
    chosen = set(choose_tiles(sample.id for sample, _ in rows))
    return [(sample, pairs) for sample, pairs in rows if sample.id in chosen]


def _slides(rows: Sequence[tuple[Sample, dict[str, Pair]]]) -> list[str | None]:
    return [sample.slide for sample, _ in rows]


def _stacks(rows: Sequence[tuple[Sample, dict[str, Pair]]]) -> dict[str, LayerMaps]:
    stacks = {}
    for layer in dict.fromkeys(layer for _, pairs in rows for layer in pairs):
        pairs = [pairs[layer] for _, pairs in rows if layer in pairs]
        if len(pairs) == len(rows) and len({pair.gate.shape for pair in pairs}) == 1:
            gates = np.stack([pair.gate for pair in pairs]).astype(np.float64)
            stacks[layer] = LayerMaps(gates, {}, np.stack([pair.inside for pair in pairs]))
    return stacks
