"""Counting of gray-level pairs, and the three numbers that are made of the counts.

A co-occurrence matrix P counts how often two levels lie at an offset from each other, in either
order, and sums to 1 (R. M. Haralick, K. Shanmugam, I. Dinstein, "Textural features for image
classification", IEEE Trans. SMC 3 (1973) 610-621). Counts are whole numbers and every sum over
them is exact or in float64, so the fast way and scikit-image's differ by rounding only.
"""

import math
from functools import lru_cache
from typing import Any, Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats

Levels: TypeAlias = NDArray[np.uint8]
Offsets: TypeAlias = tuple[tuple[int, int, int], ...]  # rows, columns, times

NAMES: Final = ("texture_contrast", "texture_homogeneity", "texture_energy")


@lru_cache(maxsize=64)
def weighted_offsets(distances: tuple[float, ...], angles: tuple[float, ...]) -> Offsets:
    """Distinct offsets (rows, columns) of all distances and angles, and how often each occurs.

    As in scikit-image an offset is rounded to whole pixels, halves away from 0. Distances 1 and 2
    have the same diagonal, and an offset and its opposite have the same pairs: of the default
    twelve, ten are left to count.

    Examples
    --------
    >>> weighted_offsets((1.0, 2.0), (0.0, math.pi / 4))
    ((0, 1, 1), (1, 1, 2), (0, 2, 1))
    """
    times: dict[tuple[int, int], int] = {}
    for distance in distances:
        for angle in angles:
            row = _rounded(distance * math.sin(angle))
            column = _rounded(distance * math.cos(angle))
            offset = (row, column) if (row, column) >= (0, 0) else (-row, -column)
            times[offset] = times.get(offset, 0) + 1
    return tuple((row, column, count) for (row, column), count in times.items())


def fits(shape: tuple[int, ...], offsets: Offsets) -> bool:
    """Tell whether an area (H, W) has at least one pair at every offset."""
    return all(row < shape[0] and abs(column) < shape[1] for row, column, _ in offsets)


def whole_area(levels: Levels, count: int, offsets: Offsets) -> Floats:
    """Contrast, homogeneity and energy of one area, the mean over the offsets.

    Parameters
    ----------
    levels : ndarray of shape (H, W), uint8, all below `count`
        Every offset must fit in it.

    Returns
    -------
    ndarray of shape (3,)
    """
    counts = np.empty((len(offsets), count, count))
    for matrix, (row, column, _) in zip(counts, offsets, strict=True):
        first, second = _pairs(levels, row, column)
        matrix[...] = cv2.calcHist(
            [first, second], [0, 1], None, [count, count], [0, count, 0, count]
        )
    symmetric = counts + counts.transpose(0, 2, 1)
    symmetric = symmetric.reshape(len(offsets), -1)
    symmetric /= symmetric.sum(axis=1, keepdims=True)
    weights = _square(count)
    energy = np.sqrt(np.einsum("ij,ij->i", symmetric, symmetric))
    times = np.array([count for _, _, count in offsets])
    features = np.column_stack([symmetric @ weights, energy])
    return np.asarray(times @ features / times.sum(), dtype=np.float64)


def each_cell(stack: Levels, offsets: Offsets) -> Floats:
    """Contrast, homogeneity and energy of many areas of one size, the mean over the offsets.

    Parameters
    ----------
    stack : ndarray of shape (h, w, C), uint8
        The pixels of C cells, cell last: the pairs of an offset are then plain slices, and
        neighbors in memory fall into different histograms. Every offset must fit in a cell.

    Returns
    -------
    ndarray of shape (3, C)

    Notes
    -----
    Levels are counted from the darkest of each cell, which leaves few: contrast and homogeneity
    depend on differences alone, and so do the sums of squared counts. A pair in either order has
    one bin, ``high (high + 1) / 2 + low``, in the histogram of its cell.
    """
    cells = stack.shape[2]
    low = stack - stack.min(axis=(0, 1))
    count = int(low.max()) + 1
    bins = count * (count + 1) // 2
    wide: Any = np.uint16 if cells * bins <= 2**16 else np.uint32
    low = low.astype(wide)
    high = low * (low + 1) // 2 + np.arange(cells, dtype=wide) * wide(bins)
    weights, same = _triangle(count)
    result = np.zeros((cells, 3))
    counts = np.empty((cells, bins))
    for row, column, times in offsets:
        codes = np.maximum(*_pairs(high, row, column))
        codes += np.minimum(*_pairs(low, row, column))
        np.copyto(counts, np.bincount(codes.ravel(), minlength=cells * bins).reshape(cells, bins))
        equal = counts[:, same]
        squares = np.vecdot(counts, counts) + np.vecdot(equal, equal)
        share = times / (codes.shape[0] * codes.shape[1])
        result[:, :2] += share * (counts @ weights)
        result[:, 2] += share * np.sqrt(squares / 2)
    result /= sum(times for _, _, times in offsets)
    return result.T


def _pairs(area: NDArray[Any], row: int, column: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """The two ends of every pair at an offset, row >= 0, along the first two axes."""
    height, width = area.shape[:2]
    left, right = max(-column, 0), max(column, 0)
    return area[: height - row, left : width - right], area[row:, right : width - left]


@lru_cache(maxsize=64)
def _triangle(count: int) -> tuple[Floats, NDArray[np.intp]]:
    """Weights (bins, 2) of the bins of unordered pairs, and the bins of equal levels."""
    high, low = np.tril_indices(count)
    weights, same = _weights(high - low), np.flatnonzero(high == low)
    weights.flags.writeable = same.flags.writeable = False
    return weights, same


@lru_cache(maxsize=64)
def _square(count: int) -> Floats:
    """Weights (count * count, 2) of ordered pairs."""
    weights = _weights(np.subtract.outer(np.arange(count), np.arange(count)).ravel())
    weights.flags.writeable = False
    return weights


def _weights(differences: NDArray[np.intp]) -> Floats:
    """Columns: squared difference (contrast) and 1 / (1 + squared difference) (homogeneity)."""
    squared = np.square(differences.astype(np.float64))
    return np.stack([squared, 1 / (1 + squared)], axis=1)


def _rounded(value: float) -> int:
    return int(math.copysign(math.floor(abs(value) + 0.5), value))
