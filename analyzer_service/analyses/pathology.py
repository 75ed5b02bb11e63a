"""The tissue of a tile in numbers and maps, and how each layer's attention goes with it.

Each intermediate is made once a tile: the optical density feeds the stains, the tissue mask and
the densities that attention is correlated with; the nuclei feed counts, shapes and overlaps.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses import architecture, color, nuclei, stain, texture
from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.correlation import unit_rows
from analyzer_service.analyses.dutilleul import Correlograms, compared, correlograms
from analyzer_service.analyses.overlap import mean_regrid, stack_nuclear_attention
from analyzer_service.analyses.pathology_names import (
    CORRELATION,
    EFFECTIVE_SIZE,
    P_VALUE,
    TISSUE,
    feature_name,
)
from analyzer_service.analyses.tissue_facts import TissueFacts

NUCLEI: Final = "nuclei"
"""Map of the share of each cell that nuclei cover."""

Grid = tuple[int, int]


@dataclass(frozen=True)
class TileTissue:
    """One tile.

    Attributes
    ----------
    numbers : dict of str to float
        By the names of `TISSUE_NUMBERS`; undefined is NaN.
    cells : dict of (int, int) to dict of str to ndarray
        The maps of `FEATURES` and `NUCLEI` on each grid. Those of full resolution are not kept:
        a frame's would push each other out of the processor's cache.
    """

    numbers: dict[str, float]
    cells: dict[Grid, dict[str, Floats]]


def tile_tissue(
    image: NDArray[Any], facts: TissueFacts, mpp: float | None, grids: Iterable[Grid] = ()
) -> TileTissue:
    """Measure one tile (H, W, 3), uint8 or float in [0, 1], of `mpp` micrometers a pixel."""
    stains = stain.stain_maps(image, facts.vectors)
    absorbed = np.ascontiguousarray(stains[..., 2])
    gray = color.luminance(image)
    levels = texture.quantize_gray(gray)
    variance = color.color_variance_map(image)
    labels = nuclei.segment(image, mpp=mpp)
    numbers = {
        **stain.intensities_from(stains, absorbed, facts.vectors.stains),
        "color_variance": float(variance.mean()) if variance.size else math.nan,
        **texture.glcm_features_of_levels(levels),
        **architecture.architecture_from(absorbed, gray),
        **nuclei.features(labels, mpp=mpp),
    }
    first, second = facts.vectors.stains
    fields = {
        TISSUE: absorbed,
        first: np.ascontiguousarray(stains[..., 0]),
        second: np.ascontiguousarray(stains[..., 1]),
        "nuclear_density": nuclei.density_map(labels),
        "color_variance": variance,
        **_named_texture(texture.local_glcm_of_levels(levels)),
        NUCLEI: (labels > 0).astype(np.float64),
    }
    cells = {
        grid: {name: _to_grid(field, grid) for name, field in fields.items()} for grid in grids
    }
    return TileTissue(numbers, cells)


def _named_texture(local: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name.replace("texture_", "glcm_"): field for name, field in local.items()}


@dataclass(frozen=True)
class GridTissue:
    """The tissue of several tiles on the grid of a gate.

    Attributes
    ----------
    fields : dict of str to ndarray of shape (N, h, w)
        Maps by name; `NUCLEI` among them.
    features : tuple of str
        Those that attention is correlated with, in the order of `correlograms`.
    rows : ndarray of shape (N, M, h * w)
        The features' cells, ready to be correlated.
    correlograms : Correlograms or None
        Of the features; any layer of this grid is tested against them, if it is to be.
    """

    fields: dict[str, Floats]
    features: tuple[str, ...]
    rows: Floats
    correlograms: Correlograms | None


def on_grid(tiles: Sequence[TileTissue], grid: Grid, *, tested: bool) -> GridTissue:
    """Tissue of tiles, at least one, that were measured on the grid of a gate, too."""
    fields = {
        name: np.stack([tile.cells[grid][name] for tile in tiles]) for name in tiles[0].cells[grid]
    }
    features = tuple(name for name in fields if name != NUCLEI)
    maps = np.stack([fields[name] for name in features], axis=1)
    if tested:
        found = correlograms(maps)
        return GridTissue(fields, features, found.rows, found)
    count, number = maps.shape[:2]
    rows = unit_rows(maps.reshape(count * number, *grid))
    return GridTissue(fields, features, rows.reshape(count, number, grid[0] * grid[1]), None)


def attention_columns(gates: Floats, tissue: GridTissue) -> dict[str, Floats]:
    """Numbers of each tile that compare one layer's gates (N, h, w) with the tissue beside them.

    Returns
    -------
    dict of str to ndarray of shape (N,)
        `OVERLAPS`; for each feature Pearson's r and, where the tissue is to be tested against, of
        Dutilleul's test the effective sample size and p.
    """
    columns = stack_nuclear_attention(gates, tissue.fields[NUCLEI])
    if tissue.correlograms is None:
        found = {
            CORRELATION: np.clip(np.einsum("nc,nmc->nm", unit_rows(gates), tissue.rows), -1.0, 1.0)
        }
    else:
        tests = compared(correlograms(gates[:, None]), tissue.correlograms)
        found = {CORRELATION: tests.r, EFFECTIVE_SIZE: tests.ess, P_VALUE: tests.p}
        found = {start: values[:, 0] for start, values in found.items()}
    for place, feature in enumerate(tissue.features):
        columns |= {feature_name(start, feature): v[:, place] for start, v in found.items()}
    return columns


def _to_grid(field: Floats, grid: Grid) -> Floats:
    if 0 in field.shape or 0 in grid:
        return np.full(grid, np.nan)
    return mean_regrid(field, grid)
