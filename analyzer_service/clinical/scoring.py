"""Scores of one tile: attention against each reader, and the readers against each other."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.attention_mask import attention_mask_scores, half_maximum
from analyzer_service.analyses.masks import (
    Mask,
    boundary_iou,
    is_without_annotation,
    mask_scores,
    surface_dice,
)
from analyzer_service.analyses.overlap import area_fractions
from analyzer_service.analyses.raters import (
    cohen_kappa,
    fleiss_kappa,
    krippendorff_alpha,
    staple,
)
from analyzer_service.analyses.status import map_status

FEWEST_FOR_CONSENSUS: Final = 3
"""Two who differ have no majority; STAPLE then depends on where it starts."""
LIKELY: Final = 0.5
TOLERANCE_PX: Final = 2.0
"""By how much outlines of two readers may differ and count as one, unless it is said."""

SCORES: Final = (
    *("auc", "average_precision", "overlap", "enrichment", "nss"),
    *("area_matched_dice", "area_matched_iou", "area_matched_precision", "area_matched_recall"),
    *("area_matched_f1", "half_maximum_dice", "half_maximum_iou", "half_maximum_precision"),
    *("half_maximum_recall", "half_maximum_f1", "ceiling", "annotated_fraction"),
)
EMPTY_SCORES: Final = (
    *("half_maximum_dice", "half_maximum_iou", "half_maximum_precision", "half_maximum_recall"),
    "attended_fraction",
)
PAIR_AGREEMENT: Final = ("dice", "iou", "cohen_kappa", "nsd", "boundary_iou")
AGREEMENT: Final = ("fleiss_kappa", "krippendorff_alpha")


@dataclass(frozen=True, slots=True)
class Pair:
    """Attention of one layer against what one reader marked as one class, on one tile."""

    layer: str
    reader: str
    label: str
    annotated: bool
    scores: Mapping[str, float]
    gate: NDArray[np.float32]
    inside: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement on one class on one tile: of a pair of readers, or, if none is named, of all."""

    label: str
    between: tuple[str, ...]
    values: Mapping[str, float]


Masks = Mapping[str, Mapping[str, Mask]]
"""By reader, then by class."""


def score_pair(gate: ArrayLike, mask: Mask) -> dict[str, float]:
    """Scores of attention (h, w) against an annotation (H, W) that is not empty: `SCORES`.

    With as much area as the annotation has, precision, recall, Dice and F1 are one number.
    """
    found = attention_mask_scores(gate, mask)
    matched = found.pop("area_matched")
    half = {name: value for name, value in found.items() if name.startswith("half_maximum_")}
    scores = {
        **found,
        **{f"area_matched_{name}": matched for name in ("dice", "precision", "recall", "f1")},
        **half,
        "area_matched_iou": matched / (2.0 - matched),
        "half_maximum_f1": half["half_maximum_dice"],
        "annotated_fraction": float(mask.mean()),
    }
    return {name: scores[name] for name in SCORES}


def score_empty(gate: NDArray[np.float32], mask: Mask) -> dict[str, float]:
    """Scores of attention where nothing is annotated: `EMPTY_SCORES`.

    All but ``attended_fraction``, the share of the tile above half of the range, follow from there
    being nothing to find. NaN for a gate without a pattern.
    """
    if map_status(gate).status != "ok":
        return dict.fromkeys(EMPTY_SCORES, math.nan)
    above = half_maximum(gate, mask.shape)
    scores = {f"half_maximum_{name}": value for name, value in mask_scores(above, mask).items()}
    scores["attended_fraction"] = float(above.mean())
    return {name: scores[name] for name in EMPTY_SCORES}


def pairs(gates: Mapping[str, NDArray[np.float32]], masks: Masks) -> Iterator[Pair]:
    """Every layer against every reader and class of one tile."""
    for reader, by_label in masks.items():
        for label, mask in by_label.items():
            annotated = not is_without_annotation(mask)
            for layer, gate in gates.items():
                scores = score_pair(gate, mask) if annotated else score_empty(gate, mask)
                inside = area_fractions(mask, gate.shape)
                yield Pair(layer, reader, label, annotated, scores, gate, inside)


def agreements(masks: Masks, *, tolerance_px: float = TOLERANCE_PX) -> Iterator[Agreement]:
    """Every pair of readers of one tile, then all who read it, class by class."""
    for label in _labels(masks):
        given = {reader: found[label] for reader, found in masks.items() if label in found}
        for one, other in combinations(given, 2):
            values = _of_two(given[one], given[other], tolerance_px)
            yield Agreement(label, (one, other), values)
        if len(given) > 1:
            yield Agreement(label, (), _of_all(list(given.values())))


def consensus(masks: Masks) -> dict[str, Mask]:
    """What three or more readers of one tile hold together, class by class."""
    found = {}
    for label in _labels(masks):
        given = [by_label[label] for by_label in masks.values() if label in by_label]
        if len(given) >= FEWEST_FOR_CONSENSUS:
            found[label] = staple(given) >= LIKELY
    return found


def _labels(masks: Masks) -> list[str]:
    return sorted({label for by_label in masks.values() for label in by_label})


def band_px(tolerance_px: float) -> int:
    """Width of the bands of boundary IoU: the tolerance in whole pixels, at least one."""
    return max(1, round(tolerance_px))


def _of_two(one: Mask, other: Mask, tolerance_px: float) -> dict[str, float]:
    """Agreement of areas and of outlines; where a tile cuts an area there is no outline."""
    areas = mask_scores(one, other)
    return {
        "dice": areas["dice"],
        "iou": areas["iou"],
        "cohen_kappa": cohen_kappa(one, other),
        "nsd": surface_dice(one, other, tolerance_px=tolerance_px, cut=True),
        "boundary_iou": boundary_iou(one, other, width_px=band_px(tolerance_px), cut=True),
    }


def _of_all(masks: list[Mask]) -> dict[str, float]:
    ratings = np.stack([mask.ravel() for mask in masks])
    return {
        "fleiss_kappa": fleiss_kappa(ratings),
        "krippendorff_alpha": krippendorff_alpha(ratings),
    }
