"""The last epochs' results side by side, and differences with intervals where these are sound."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from analyzer_service.analyses.bootstrap import BootstrapInterval, cluster_bootstrap
from analyzer_service.compare.sides import Side
from analyzer_service.figures.wording import number, with_unit
from analyzer_service.sinks.moments import Moments
from analyzer_service.sinks.report_wording import mean_sd
from shared.messages import Phase

FEWEST_SHARED: Final = 5
"""Tiles that two runs must both have shown for an interval over them."""

_BATCHES: Final[tuple[tuple[str, Phase, str], ...]] = (
    ("Training loss", "train", "loss"),
    ("Training SSIM", "train", "ssim"),
    ("Validation loss", "val", "loss"),
)
_TILES: Final = {
    "SSIM": "ssim",
    "PSNR, dB": "psnr",
    "MSE": "mse",
    "Entropy, nats": "attention_entropy",
    "Concentration": "attention_concentration_10",
    "Sparsity": "attention_sparsity",
    "Center distance": "attention_center_distance",
    "Peaks": "num_attention_peaks",
    "Attention on nuclei, AUC": "nuclear_attention_auc",
}
_TIMES: Final[tuple[tuple[str, Phase, str], ...]] = (
    ("Training step, median", "train", "training_time_ms"),
    ("Forward pass, median", "train", "inference_time_ms"),
)


@dataclass(frozen=True)
class Result:
    """A line of the comparison: what each run has, and how it differs from the first run.

    `differences` has a text for each run but the first.
    """

    name: str
    values: list[str]
    differences: list[str]


def over_batches(sides: Sequence[Side]) -> list[Result]:
    """Losses and SSIM over the batches of the last epoch; no intervals.

    Batches of an epoch are not independent of each other: the weights move between them.
    """
    return [
        _of_moments(name, [side.moments(phase, key) for side in sides])
        for name, phase, key in _BATCHES
        if any(side.moments(phase, key).n for side in sides)
    ]


def over_tiles(sides: Sequence[Side]) -> list[Result]:
    """Validation tiles of the last epoch; differences over the tiles that both runs showed."""
    results = []
    for name, key in _TILES.items():
        moments = [_moments(side.tiles.values.get(key, ())) for side in sides]
        if not any(each.n for each in moments):
            continue
        values = [_with_n(each) for each in moments]
        differences = [_difference(sides[0], other, key) for other in sides[1:]]
        results.append(Result(name, values, differences))
    return results


def over_time(sides: Sequence[Side]) -> list[Result]:
    """What a step took and how much memory, in the last epoch."""
    results = []
    for name, phase, key in _TIMES:
        found = [side.median(phase, key) for side in sides]
        texts = [f"{with_unit(value, 'ms')} (n {n:,})" if n else "–" for value, n in found]
        results.append(Result(name, texts, _ratios([value for value, _ in found])))
    highest = [side.moments("train", "memory_mb").high for side in sides]
    texts = [with_unit(value, "MiB") for value in highest]
    results.append(Result("Memory, highest", texts, _ratios(highest)))
    return results


def paired(first: Side, other: Side, key: str) -> BootstrapInterval | None:
    """Mean difference over the tiles that both showed, with its interval; None where few are.

    Tiles are the same if all that is known of them is: id, source, slide, place, pixel size.
    Slides are drawn where every tile's is known and there are at least two, else tiles.
    """
    mine = dict(zip(first.tiles.samples, first.tiles.values.get(key, ()), strict=False))
    theirs = dict(zip(other.tiles.samples, other.tiles.values.get(key, ()), strict=False))
    both = [sample for sample in mine if sample in theirs]
    gaps = [theirs[sample] - mine[sample] for sample in both]
    slides = [sample.slide for sample in both]
    found = cluster_bootstrap(gaps, None if None in slides else slides)
    return found if found.n >= FEWEST_SHARED else None


def _difference(first: Side, other: Side, key: str) -> str:
    found = paired(first, other, key)
    if found is None:
        return "–"
    unit = "slides" if found.across_slides else "tiles"
    n = found.slides if found.across_slides else found.n
    return (
        f"{_signed(found.mean)} ({_signed(found.low)} to {_signed(found.high)}; "
        f"{n:,} shared {unit})"
    )


def _of_moments(name: str, moments: Sequence[Moments]) -> Result:
    gaps = [each.mean - moments[0].mean for each in moments[1:]]
    differences = ["–" if math.isnan(gap) else _signed(gap) for gap in gaps]
    return Result(name, [_with_n(each) for each in moments], differences)


def _ratios(values: Sequence[float]) -> list[str]:
    first = values[0]
    return [
        f"×{number(value / first)}" if first and value == value else "–" for value in values[1:]
    ]


def _with_n(moments: Moments) -> str:
    return f"{mean_sd(moments)} (n {moments.n:,})" if moments.n else "–"


def _moments(values: Sequence[float]) -> Moments:
    moments = Moments()
    moments.extend(np.asarray(values, dtype=np.float64))
    return moments


def _signed(value: float) -> str:
    text = number(value)
    return f"+{text}" if value > 0 else text
