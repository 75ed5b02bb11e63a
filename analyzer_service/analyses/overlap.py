"""Attention against a mask: how much of it falls inside, how well it tells inside from outside.

The mask is brought down to the gate's grid as the share of each cell that it covers, so no pixel is
counted twice; the gate is never enlarged. Every number equals that of the gate enlarged by its
nearest neighbor and compared pixel by pixel, where the mask's size is a multiple of the gate's.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map, as_maps
from analyzer_service.analyses.density import densities, excess, regrid
from analyzer_service.analyses.ranks import midranks
from analyzer_service.analyses.status import FLAT, OK, status_codes

NAMES: Final = (
    "nuclear_attention_overlap",
    "nuclear_attention_enrichment",
    "nuclear_attention_auc",
    "nuclear_attention_nss",
)

_LEAST_SHARE: Final = 1e-10  # of a tile: no image has so many pixels


def nuclear_attention(gate: ArrayLike, mask: ArrayLike) -> dict[str, float]:
    """How attention of one tile relates to its nuclei, or to any other mask.

    Parameters
    ----------
    gate : array of shape (h, w)
    mask : array of shape (H, W)
        Nonzero inside; any size, both cover the same tile.

    Returns
    -------
    dict of str to float
        ``nuclear_attention_overlap``, in [0, 1]: share of the attention (excess density) that
        falls inside; chance is the share of the tile that the mask covers.
        ``nuclear_attention_enrichment``: overlap over that share; 1 is chance.
        ``nuclear_attention_auc``, in [0, 1]: chance that a pixel inside has more attention than
        one outside; 0.5 is chance. ``nuclear_attention_nss``: mean z-score of the gate inside.
        All NaN for an empty mask and for a gate that is not finite or tiny. A full mask has
        overlap and enrichment 1 and no AUC; a constant gate has the covered share as overlap.

    Raises
    ------
    ArrayError
        If `gate` is no real-valued 2-D array or `mask` no 2-D array.

    Notes
    -----
    Overlap is Quantus' relevance mass accuracy of the excess map (L. Arras, A. Osman, W. Samek,
    Information Fusion 81 (2022) 14-40), NSS that of R. J. Peters et al., Vision Research 45
    (2005) 2397-2416, with the population's standard deviation.

    Examples
    --------
    >>> gate = [[0.0, 1.0], [0.0, 0.0]]
    >>> found = nuclear_attention(gate, [[0, 1], [0, 0]])
    >>> found["nuclear_attention_overlap"], found["nuclear_attention_enrichment"]
    (1.0, 4.0)
    """
    maps = as_map(gate)[None]
    columns = stack_nuclear_attention(maps, area_fractions(mask, maps.shape[1:])[None])
    return {name: float(column[0]) for name, column in columns.items()}


def area_fractions(mask: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Share of each cell of a grid of `shape` that a mask (..., H, W) covers, in [0, 1].

    Raises
    ------
    ArrayError
        If `mask` has no pixels, or fewer than two axes.
    """
    inside = np.asarray(mask) != 0
    if inside.ndim < 2:
        raise ArrayError(f"expected a mask (H, W), got shape {inside.shape}")
    fractions: Floats = np.clip(mean_regrid(inside, shape), 0.0, 1.0)
    return fractions


def mean_regrid(field: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Mean of a field (..., H, W) over each cell of a grid of `shape`, by shared area.

    Raises
    ------
    ArrayError
        If there are no pixels or no cells.
    """
    values = np.asarray(field, dtype=np.float64)
    rows, columns = shape
    if values.ndim >= 2 and 0 not in values.shape[-2:] and min(shape) > 0:
        height, width = values.shape[-2:]
        if height % rows == 0 and width % columns == 0:
            return _block_means(values, rows, columns)
    total = regrid(values, (rows, columns))
    cells: Floats = total * (rows * columns / (values.shape[-2] * values.shape[-1]))
    return cells


def _block_means(values: Floats, rows: int, columns: int) -> Floats:
    """Means of whole blocks, where sizes divide."""
    if values.ndim > 2:
        stack = values.reshape(-1, *values.shape[-2:])
        shrunk = [_block_means(np.ascontiguousarray(field), rows, columns) for field in stack]
        return np.reshape(shrunk, (*values.shape[:-2], rows, columns))
    height, width = values.shape[0] // rows, values.shape[1] // columns
    area = height * width
    if area & (area - 1) == 0:
        means = cv2.resize(values, (columns, rows), interpolation=cv2.INTER_AREA)
        return np.asarray(means, dtype=np.float64)
    # OpenCV multiplies by 1 / area in single precision: exact for powers of two only.
    bands = values.reshape(rows, height, -1).sum(axis=1)
    blocks: Floats = bands.reshape(rows, columns, width).sum(axis=2)
    blocks /= area
    return blocks


def stack_nuclear_attention(gates: ArrayLike, fractions: ArrayLike) -> dict[str, Floats]:
    """`nuclear_attention` of each tile, from the covered share of each cell (N, h, w).

    Raises
    ------
    ArrayError
        If both are not real-valued stacks of one shape.
    """
    maps, inside = _pair(gates, fractions)
    columns = {name: np.full(len(maps), np.nan) for name in NAMES}
    if not maps.size:
        return columns
    codes = status_codes(maps)
    covered = inside.mean(axis=(1, 2))
    flat = (codes == FLAT) & (covered > 0)
    columns["nuclear_attention_overlap"][flat] = covered[flat]
    usable = np.flatnonzero((codes == OK) & (covered > 0))
    if not len(usable):
        return columns
    gate, part = maps[usable], inside[usable]
    overlap = np.minimum((densities(excess(gate))[0] * part).sum(axis=(1, 2)), 1.0)
    values = (overlap, overlap / covered[usable], _auc(gate, part), _nss(gate, part))
    for name, value in zip(NAMES, values, strict=True):
        columns[name][usable] = value
    return columns


def enrichment_matrix(gates: ArrayLike, fractions: ArrayLike) -> Floats:
    """Enrichment of the attention of tile i on the mask of tile j.

    Returns
    -------
    ndarray of shape (N, N)
        NaN in rows of gates without a pattern and in columns of empty masks.

    Raises
    ------
    ArrayError
        If both are not real-valued stacks of one shape.
    """
    maps, inside = _pair(gates, fractions)
    cells = maps.shape[1] * maps.shape[2]
    rows = np.full((len(maps), cells), np.nan)
    shaped = status_codes(maps) == OK
    if shaped.any():
        rows[shaped] = densities(excess(maps[shaped]))[0].reshape(-1, cells)
    masks = inside.reshape(len(maps), cells)
    covered = masks.mean(axis=1)
    result = np.full((len(maps), len(maps)), np.nan)
    np.divide(rows @ masks.T, covered, out=result, where=covered > 0)
    return result


def auc_matrix(gates: ArrayLike, fractions: ArrayLike) -> Floats:
    """ROC AUC of the attention of tile i for the mask of tile j.

    Returns
    -------
    ndarray of shape (N, N)
        NaN in rows of gates without a pattern and in columns of empty and full masks.

    Raises
    ------
    ArrayError
        If both are not real-valued stacks of one shape.
    """
    maps, inside = _pair(gates, fractions)
    masks = inside.reshape(len(maps), -1)
    rows = np.full(masks.shape, np.nan)
    shaped = status_codes(maps) == OK
    if shaped.any():
        rows[shaped] = _below(maps[shaped])
    return _ranked(rows @ masks.T, masks.sum(axis=1), masks.shape[1])


def _auc(gates: Floats, inside: Floats) -> Floats:
    masks = inside.reshape(len(gates), -1)
    return _ranked((_below(gates) * masks).sum(axis=1), masks.sum(axis=1), masks.shape[1])


def _below(gates: Floats) -> Floats:
    """For each cell, how many cells have a lower value, an equal one counting half."""
    ranks: Floats = midranks(gates.reshape(len(gates), -1)) - 0.5
    return ranks


def _ranked(below: Floats, inside: Floats, cells: int) -> Floats:
    """Mann and Whitney's statistic as a share of all pairs of inside and outside.

    `below` counts pairs of a pixel inside with any pixel. Those with both inside are half of
    their number, whatever the gate is, since each pair counts once and its mirror not.
    """
    outside = cells - inside
    pairs = inside * outside
    result: Floats = np.full(np.broadcast_shapes(below.shape, pairs.shape), np.nan)
    # Of a full mask rounding may leave something outside, but far less than any pixel.
    both = np.minimum(inside, outside) > _LEAST_SHARE * cells
    np.divide(below - 0.5 * np.square(inside), pairs, out=result, where=both)
    np.clip(result, 0.0, 1.0, out=result)
    return result


def _nss(gates: Floats, inside: Floats) -> Floats:
    mean = gates.mean(axis=(1, 2), keepdims=True)
    std = gates.std(axis=(1, 2), keepdims=True)
    scores = (gates - mean) / std
    result: Floats = (scores * inside).sum(axis=(1, 2)) / inside.sum(axis=(1, 2))
    return result


def _pair(gates: ArrayLike, fractions: ArrayLike) -> tuple[Floats, Floats]:
    maps, inside = as_maps(gates), as_maps(fractions)
    if maps.shape != inside.shape:
        raise ArrayError(
            f"gates and covered shares must have one shape, got {maps.shape}, {inside.shape}: "
            "bring the masks to the gates' grid by `area_fractions`"
        )
    return maps, inside
