"""All numbers of one frame: of each tile, and their means over the batch."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.agreement import (
    layer_patterns,
    pattern_consistency,
    position_bias,
)
from analyzer_service.analyses.arrays import Floats, as_maps
from analyzer_service.analyses.attention import stack_metrics
from analyzer_service.analyses.autocorrelation import stack_moran_i
from analyzer_service.analyses.pathology_names import is_of_one_tile
from analyzer_service.analyses.quality import mse, psnr, ssim
from analyzer_service.analyses.status import (
    FLAT,
    NONFINITE,
    TINY,
    is_low_contrast,
    status_codes,
)
from analyzer_service.analyses.tissue_columns import measure_tissue
from analyzer_service.analyses.tissue_facts import TissueFacts
from shared.messages import BatchFrame, Float32Maps

ATTENTION: Final = "attention"
ACTIVATION: Final = "activation"
TEMPORAL: Final = "temporal_consistency"

Columns = dict[str, Floats]


@dataclass(frozen=True)
class FrameResult:
    """What a frame's images and maps amount to.

    Attributes
    ----------
    row : dict of str to float
        Means over the tiles, values that are NaN left out; NaN where no tile has a value. Also
        ``samples`` and, for each layer, how many tiles are undefined, flat or of low contrast.
    samples : list of dict of str to float
        The numbers of each tile under the same names; NaN is undefined.
    tile_maps : sequence of mappings of str to ndarray of shape (h, w)
        Of validation frames: each tile's gates (``attention/{layer}``) and, on the grid of each
        gate, its tissue (``{h}x{w}/{feature}``).
    """

    row: dict[str, float]
    samples: list[dict[str, float]]
    tile_maps: Sequence[Mapping[str, Float32Maps]] = ()


def analyze_frame(frame: BatchFrame, facts: TissueFacts | None = None) -> FrameResult:
    """Measure the reconstructions, the maps and the tissue of one frame.

    The row has ``mse``, ``psnr``, ``ssim``, ``samples``, ``spatial_consistency`` and, for each
    layer, ``{kind}_{layer}_{metric}`` with kind ``attention`` or ``activation``: the metrics
    of `stack_metrics`, ``attention_moran_i``, ``attention_position_bias`` and the counts
    ``undefined``, ``flat`` and (of gates only) ``low_contrast``. Gates of validation frames
    have ``temporal_consistency`` too: one frame does not know it, so it is NaN, to be filled in
    once the earlier epoch is known. Equal images have no finite PSNR: theirs is NaN.

    The tissue has the numbers of `pathology_names`, those of a layer as ``{name}_{layer}``.
    Tiles have p-values and effective sample sizes of Dutilleul's test, too; a row, which would
    average them, has not.

    Parameters
    ----------
    frame : BatchFrame
    facts : TissueFacts, optional
        The run's stains and scale; by default H&E of unknown scale.
    """
    count = len(frame.samples)
    columns = _quality_columns(frame)
    batch: dict[str, float] = {"samples": float(count)}
    for (kind, layer), (per_tile, whole) in _numbers_of_layers(frame).items():
        columns |= {f"{kind}_{layer}_{name}": column for name, column in per_tile.items()}
        batch |= {f"{kind}_{layer}_{name}": value for name, value in whole.items()}
        if kind == ATTENTION and frame.phase == "val":
            columns[f"{kind}_{layer}_{TEMPORAL}"] = np.full(count, np.nan)
    columns["spatial_consistency"] = _consistency_column(frame.attention, count)
    tissue = measure_tissue(frame, facts or TissueFacts())
    columns |= tissue.columns
    values = {name: column.tolist() for name, column in columns.items()}
    row = {name: _mean(column) for name, column in values.items() if not is_of_one_tile(name)}
    samples = [{name: column[i] for name, column in values.items()} for i in range(count)]
    tile_maps = tissue.tile_maps if frame.phase == "val" else []
    return FrameResult(row | batch | tissue.counts, samples, tile_maps)


def _quality_columns(frame: BatchFrame) -> Columns:
    pairs = list(zip(frame.input, frame.reconstruction, strict=True))
    ratios = np.array([psnr(x, y) for x, y in pairs], dtype=np.float64)
    return {
        "mse": np.array([mse(x, y) for x, y in pairs], dtype=np.float64),
        "psnr": np.where(np.isinf(ratios), np.nan, ratios),
        "ssim": np.array([ssim(x, y) for x, y in pairs], dtype=np.float64),
    }


def _numbers_of_layers(
    frame: BatchFrame,
) -> dict[tuple[str, str], tuple[Columns, dict[str, float]]]:
    """By kind and layer: numbers of each map, and those that only the batch has."""
    layers = {
        (kind, layer): as_maps(maps)
        for kind, named in ((ATTENTION, frame.attention), (ACTIVATION, frame.activation))
        for layer, maps in named.items()
    }
    found = {}
    for shape in {maps.shape for maps in layers.values()}:
        alike = [key for key, maps in layers.items() if maps.shape == shape]
        together = np.concatenate([layers[key] for key in alike])  # one stack is measured faster
        columns = stack_metrics(together) | {"attention_moran_i": stack_moran_i(together)}
        codes = status_codes(together)
        for place, key in enumerate(alike):
            own = slice(place * shape[0], (place + 1) * shape[0])
            per_tile = {name: column[own] for name, column in columns.items()}
            found[key] = per_tile, _of_batch(key[0], layers[key], codes[own], per_tile)
    return {key: found[key] for key in layers}


def _of_batch(
    kind: str, maps: Floats, codes: NDArray[np.intp], per_tile: Columns
) -> dict[str, float]:
    whole = {
        "attention_position_bias": position_bias(maps),
        "undefined": float(((codes == NONFINITE) | (codes == TINY)).sum()),
        "flat": float((codes == FLAT).sum()),
    }
    if kind == ATTENTION:  # the limit is one of sigmoid gates
        whole["low_contrast"] = float(is_low_contrast(per_tile["attention_std"]).sum())
    return whole


def _consistency_column(attention: Mapping[str, Float32Maps], count: int) -> Floats:
    if len(attention) < 2:
        return np.full(count, np.nan)
    patterns = np.stack([layer_patterns(as_maps(maps)) for maps in attention.values()])
    return np.array([pattern_consistency(patterns[:, i]) for i in range(count)], dtype=np.float64)


def _mean(column: list[float]) -> float:
    known = [value for value in column if not math.isnan(value)]
    return math.fsum(known) / len(known) if known else math.nan
