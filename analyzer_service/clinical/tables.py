"""The report's tables: scores by layer, agreement of readers, faults."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from analyzer_service.analyses.bootstrap import BootstrapInterval
from analyzer_service.annotations import FAULTS
from analyzer_service.clinical.content import LISTED_FAULTS
from analyzer_service.clinical.scoring import AGREEMENT, EMPTY_SCORES, PAIR_AGREEMENT
from analyzer_service.clinical.summarizing import PairKey, Summary
from analyzer_service.clinical.validating import Validation
from analyzer_service.figures.wording import number
from analyzer_service.sinks.markdown import quoted, table

_ROWS: Final = {
    "auc": "AUC (chance 0.5)",
    "average_precision": "average precision (chance: annotated share)",
    "overlap": "overlap (chance: annotated share)",
    "enrichment": "enrichment (chance 1)",
    "nss": "NSS (chance 0)",
    "area_matched_dice": "area-matched Dice = precision = recall = F1",
    "area_matched_iou": "area-matched IoU",
    "half_maximum_dice": "half-maximum Dice = F1",
    "half_maximum_iou": "half-maximum IoU",
    "half_maximum_precision": "half-maximum precision",
    "half_maximum_recall": "half-maximum recall",
    "ceiling": "*ceiling: Dice that the gate's cells allow*",
    "annotated_fraction": "*annotated share of the tile*",
}
_EMPTY_ROWS: Final = {
    **{name: _ROWS[name] for name in EMPTY_SCORES if name in _ROWS},
    "attended_fraction": "share of the tile above half of the maximum",
}
_BY_SLIDE: Final = ("auc", "enrichment", "area_matched_dice", "ceiling")
_AGREEMENT: Final = {
    "dice": "Dice",
    "iou": "IoU",
    "cohen_kappa": "Cohen's kappa",
    "nsd": "NSD",
    "boundary_iou": "Boundary IoU",
    "fleiss_kappa": "Fleiss' kappa",
    "krippendorff_alpha": "Krippendorff's alpha",
}
_SHORT: Final = ("auc", "enrichment", "area_matched_dice", "ceiling")
MOST_SLIDES: Final = 50
"""Rows of the table by slide; the JSON file has all."""


def score_table(summaries: Mapping[str, Summary], *, empty: bool = False) -> str:
    """Scores in rows, layers in columns, each with its interval."""
    rows = [
        [words, *(interval(summary.means[name]) for summary in summaries.values())]
        for name, words in (_EMPTY_ROWS if empty else _ROWS).items()
    ]
    return table(["Mean over tiles (95 % CI)", *map(quoted, summaries)], rows)


def slide_table(validation: Validation, reader: str, label: str) -> str | None:
    """The first scores of each slide; None where no slide is named."""
    found = [
        (slide, key.layer, summary)
        for (key, slide), summary in validation.slides.items()
        if (key.reader, key.label) == (reader, label)
    ]
    rows = [
        [
            quoted(slide),
            quoted(layer),
            f"{summary.tiles:,}",
            *(number(summary.means[name].mean) for name in _BY_SLIDE),
        ]
        for slide, layer, summary in found[:MOST_SLIDES]
    ]
    header = ["Slide", "Layer", "Tiles", "AUC", "Enrichment", "Area-matched Dice", "Ceiling"]
    return table(header, rows, words=(0, 1)) if rows else None


def own_or_others_table(validation: Validation, reader: str, label: str) -> str | None:
    """Whether attention fits its own annotation better; None where nothing could be tested."""
    rows = [
        [
            quoted(one.test.layer),
            "enrichment" if one.test.kind == "enrichment" else "AUC",
            _limits(one.test.matched, one.test.low, one.test.high),
            number(one.test.mismatched),
            _limits(one.test.effect, one.test.effect_low, one.test.effect_high),
            _p(one.test.p_adjusted),
            f"{one.test.n:,}",
        ]
        for one in validation.own_or_others
        if (one.reader, one.label) == (reader, label)
    ]
    header = ["Layer", "Number", "Own annotation (95 % CI)", "Other tiles' annotations"]
    header += ["Difference (95 % CI)", "Adjusted p", "Tiles"]
    return table(header, rows, words=(0, 1)) if rows else None


def agreement_table(validation: Validation, *, of_pairs: bool) -> str | None:
    """Agreement of pairs, or of all readers of a tile, class by class."""
    names = PAIR_AGREEMENT if of_pairs else AGREEMENT
    rows = [
        [
            quoted(label),
            " and ".join(map(quoted, between)) or "all who read the tile",
            *(interval(summary.means[name]) for name in names),
            f"{summary.tiles:,}",
        ]
        for (label, between), summary in validation.agreement.items()
        if bool(between) == of_pairs
    ]
    header = ["Class", "Readers", *(f"{_AGREEMENT[name]} (95 % CI)" for name in names), "Tiles"]
    return table(header, rows, words=(0, 1)) if rows else None


def fault_table(validation: Validation) -> str | None:
    """What was wrong, counted, with the first few by name."""
    counts = Counter(fault.kind for fault in validation.faults)
    rows = []
    for kind in (kind for kind in FAULTS if counts[kind]):
        named = [fault for fault in validation.faults if fault.kind == kind]
        first = "; ".join(
            quoted(fault.where) + (f": {_plain(fault.what)}" if fault.what else "")
            for fault in named[:3]
        )
        more = f"; and {len(named) - 3:,} more" if len(named) > 3 else ""
        rows.append([FAULTS[kind], f"{counts[kind]:,}", first + more])
    if not rows:
        return None
    listed = f"`clinical_validation_report.json` lists up to {LISTED_FAULTS} of each kind."
    return table(["What", "Count", "Where"], rows, words=(0, 2)) + f"\n\n{listed}"


def short_table(validation: Validation) -> str:
    """A few lines for the terminal."""
    rows = [
        [key.reader, key.label, key.layer, f"{summary.tiles:,}"]
        + [interval(summary.means[name]) for name in _SHORT]
        for key, summary in validation.attention.items()
    ]
    header = ["Reader", "Class", "Layer", "Tiles", "AUC", "Enrichment", "Area-matched Dice"]
    return table([*header, "Ceiling"], rows, words=(0, 1, 2))


def interval(mean: BootstrapInterval) -> str:
    """A mean with its limits, as far as they are defined."""
    return _limits(mean.mean, mean.low, mean.high)


def by_layer(found: Mapping[PairKey, Summary], reader: str, label: str) -> dict[str, Summary]:
    """Summaries of one reader and class, by layer."""
    return {
        key.layer: summary
        for key, summary in found.items()
        if (key.reader, key.label) == (reader, label)
    }


def questions(*found: Mapping[PairKey, Summary]) -> Sequence[tuple[str, str]]:
    """Readers and classes that there is anything of, in order."""
    return list(dict.fromkeys((key.reader, key.label) for each in found for key in each))


def _limits(mean: float, low: float, high: float) -> str:
    if math.isnan(low):
        return number(mean)
    return f"{number(mean)} ({number(low)} to {number(high)})"


def _p(value: float) -> str:
    if math.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def _plain(text: str) -> str:
    return quoted(text[:120])
