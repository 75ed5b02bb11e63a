"""How coarse and how varied the gray of a tile is, as a whole and cell by cell.

Both come from co-occurrence matrices of the quantized luminance. To have them both, quantize once
and use `glcm_features_of_levels` and `local_glcm_of_levels`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats
from analyzer_service.analyses.color import luminance
from analyzer_service.analyses.glcm import (
    NAMES,
    Levels,
    Offsets,
    each_cell,
    fits,
    weighted_offsets,
    whole_area,
)

LEVELS: Final = 32
DISTANCES: Final = (1, 2, 3)
ANGLES: Final = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
CELLS: Final = 8
UNDEFINED: Final = 255  # the level of a pixel that is not finite
ROUNDING: Final = 1e-9  # of a level: a float image may miss a limit that its 8-bit source met


def quantize(image: ArrayLike, *, levels: int = LEVELS) -> Levels:
    """Gray levels of an image: ``min(floor(levels * luminance), levels - 1)``.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
    levels : int
        From 2 to 255; the limits are those of [0, 1], not of the image.

    Returns
    -------
    ndarray of shape (H, W), uint8
        255 where the pixel is not finite.

    Raises
    ------
    ArrayError
        If it is no image, or there are too few or too many levels.

    Examples
    --------
    >>> quantize(np.array([[0.0, 0.5, 1.0]]))
    array([[ 0, 16, 31]], dtype=uint8)
    """
    return quantize_gray(luminance(image), levels=levels)


def quantize_gray(gray: Floats, *, levels: int = LEVELS) -> Levels:
    """`quantize` of a luminance (H, W) that is there already."""
    _check_count(levels)
    scaled = gray * levels
    scaled += ROUNDING
    np.clip(scaled, 0, levels - 1, out=scaled)
    unknown = np.isnan(scaled)
    if unknown.any():
        scaled[unknown] = UNDEFINED
    return scaled.astype(np.uint8)


def glcm_features(
    image: ArrayLike,
    *,
    levels: int = LEVELS,
    distances: Sequence[float] = DISTANCES,
    angles: Sequence[float] = ANGLES,
) -> dict[str, float]:
    """Texture of a whole tile, from the co-occurrence of its gray levels.

    Parameters
    ----------
    image : array of shape (H, W, 3) or (H, W), uint8 or float in [0, 1]
    levels : int
        Gray levels on [0, 1], from 2 to 255.
    distances : sequence of float
        In pixels.
    angles : sequence of float
        In radians.

    Returns
    -------
    dict of str to float
        Means over all offsets: ``texture_contrast`` in [0, (levels - 1)^2],
        ``texture_homogeneity`` and ``texture_energy`` (the root of the sum of squares) in (0, 1];
        0, 1 and 1 for a constant tile. NaN if a pixel is not finite, or the tile is so small that
        some offset has no pair in it (a side of 3 or less, by default).

    Raises
    ------
    ArrayError
        If it is no image, or there are too few or too many levels.

    Notes
    -----
    Equal to `skimage.feature.graycomatrix` (symmetric, normed) and `graycoprops`.

    Examples
    --------
    >>> glcm_features(np.full((8, 8), 0.3))
    {'texture_contrast': 0.0, 'texture_homogeneity': 1.0, 'texture_energy': 1.0}
    """
    quantized = quantize(image, levels=levels)
    return glcm_features_of_levels(quantized, levels=levels, distances=distances, angles=angles)


def glcm_features_of_levels(
    quantized: ArrayLike,
    *,
    levels: int = LEVELS,
    distances: Sequence[float] = DISTANCES,
    angles: Sequence[float] = ANGLES,
) -> dict[str, float]:
    """`glcm_features` of gray levels (H, W) that are there already: 0 to levels - 1, or 255."""
    area = _as_levels(quantized, levels)
    offsets = weighted_offsets(tuple(distances), tuple(angles))
    if not fits(area.shape, offsets) or bool((area == UNDEFINED).any()):
        return dict.fromkeys(NAMES, math.nan)
    return dict(zip(NAMES, whole_area(area, levels, offsets).tolist(), strict=True))


def local_glcm(
    image: ArrayLike,
    cells: int = CELLS,
    *,
    levels: int = LEVELS,
    distances: Sequence[float] = DISTANCES,
    angles: Sequence[float] = ANGLES,
) -> dict[str, Floats]:
    """Texture of each cell of a grid over the tile, of the pairs inside the cell only.

    Parameters
    ----------
    image, levels, distances, angles
        As for `glcm_features`.
    cells : int
        Cells a side. Cell i of H rows has the rows from ``i * H // cells`` up to
        ``(i + 1) * H // cells``, columns likewise: the cells cover the tile and differ by a row
        or a column where the sides do not divide.

    Returns
    -------
    dict of str to ndarray of shape (cells, cells), float64
        The names and ranges of `glcm_features`. NaN in a cell with a pixel that is not finite,
        or with a side of 3 pixels or less (by default), as some offset has no pair in it.

    Raises
    ------
    ArrayError
        If it is no image, or `levels` or `cells` are out of range.
    """
    quantized = quantize(image, levels=levels)
    return local_glcm_of_levels(quantized, cells, levels=levels, distances=distances, angles=angles)


def local_glcm_of_levels(
    quantized: ArrayLike,
    cells: int = CELLS,
    *,
    levels: int = LEVELS,
    distances: Sequence[float] = DISTANCES,
    angles: Sequence[float] = ANGLES,
) -> dict[str, Floats]:
    """`local_glcm` of gray levels (H, W) that are there already: 0 to levels - 1, or 255."""
    area = _as_levels(quantized, levels)
    if cells < 1:
        raise ArrayError(f"expected at least one cell a side, got {cells}")
    offsets = weighted_offsets(tuple(distances), tuple(angles))
    grid = np.full((3, cells, cells), np.nan)
    for rows in _bands(area.shape[0], cells):
        for columns in _bands(area.shape[1], cells):
            if fits((rows.extent, columns.extent), offsets):
                measured = _measure(_cell_stack(area, rows, columns), offsets)
                shape = (3, len(rows.cells), len(columns.cells))
                grid[:, rows.cells[:, None], columns.cells] = measured.reshape(shape)
    return dict(zip(NAMES, grid, strict=True))


@dataclass(frozen=True)
class _Band:
    """The cells along one axis that have one extent, and where in the area they start."""

    cells: NDArray[np.intp]
    starts: NDArray[np.intp]
    extent: int

    def pixels(self) -> NDArray[np.intp]:
        return (self.starts[:, None] + np.arange(self.extent)).ravel()


@lru_cache(maxsize=64)
def _bands(size: int, cells: int) -> tuple[_Band, ...]:
    """The cells of one axis by extent: one band where `cells` divides `size`, else two."""
    edges = np.arange(cells + 1) * size // cells
    extents = np.diff(edges)
    return tuple(
        _Band(which, edges[which], int(extent))
        for extent in np.unique(extents)
        for which in [np.flatnonzero(extents == extent)]
    )


def _cell_stack(area: Levels, rows: _Band, columns: _Band) -> Levels:
    """Pixels of the cells of two bands, shape (height, width, cells), a copy."""
    shape = (len(rows.cells), rows.extent, len(columns.cells), columns.extent)
    if (shape[0] * shape[1], shape[2] * shape[3]) != area.shape:
        area = area[rows.pixels()[:, None], columns.pixels()]
    stack = np.array(area.reshape(shape).transpose(1, 3, 0, 2), order="C")
    return stack.reshape(rows.extent, columns.extent, -1)


def _measure(stack: Levels, offsets: Offsets) -> Floats:
    """Features (3, cells) of a stack, NaN in the cells with an undefined pixel."""
    unknown = stack == UNDEFINED
    if not unknown.any():
        return each_cell(stack, offsets)
    stack[unknown] = stack.min()
    features = each_cell(stack, offsets)
    features[:, unknown.any(axis=(0, 1))] = np.nan
    return features


def _as_levels(quantized: ArrayLike, levels: int) -> Levels:
    _check_count(levels)
    area = np.asarray(quantized)
    if area.ndim != 2 or area.dtype.kind not in "ui":
        raise ArrayError(
            f"expected gray levels (H, W) as integers, got {area.dtype} of shape {area.shape}"
        )
    if bool(((area < 0) | ((area >= levels) & (area != UNDEFINED))).any()):
        raise ArrayError(f"expected gray levels below {levels}: quantize with the same number")
    return np.ascontiguousarray(area, dtype=np.uint8)


def _check_count(levels: int) -> None:
    if not 2 <= levels <= UNDEFINED:
        raise ArrayError(f"expected 2 to {UNDEFINED} gray levels, got {levels}")
