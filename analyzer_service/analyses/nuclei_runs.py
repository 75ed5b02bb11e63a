"""Nuclei as runs, stretches of one label along a row: a tenth as many as pixels."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats

Ints = NDArray[np.intp]


@dataclass(frozen=True)
class Runs:
    """Stretches of one nucleus along a row of the image: first pixels and lengths."""

    label: NDArray[Any]
    row: Ints
    col: Ints
    length: Ints


def runs_of(image: NDArray[Any]) -> Runs:
    """All runs of a label image (H, W), in raster order."""
    height, width = image.shape
    flat = np.zeros(1 + height * (width + 1), dtype=image.dtype)  # background before every row
    flat[1:].reshape(height, width + 1)[:, :-1] = image
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    label = flat.take(changes + 1)
    first = np.flatnonzero(label != 0)  # a bool is searched faster
    row, col = np.divmod(changes[first], width + 1)
    return Runs(label[first], row, col, changes[first + 1] - changes[first])


def touching(runs: Runs, part: Ints, count: int, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell for each of `count` nuclei whether a run of it meets the border of the image."""
    outer = (runs.row == 0) | (runs.row == shape[0] - 1)
    outer |= (runs.col == 0) | (runs.col + runs.length == shape[1])
    result = np.zeros(count, dtype=bool)
    result[part[outer]] = True
    return result


def moments(
    runs: Runs, part: Ints, count: int
) -> tuple[Ints, tuple[Floats, Floats], tuple[Floats, Floats, Floats]]:
    """Area, centroid, and variance down, across and covariance of pixel positions.

    Sums are whole numbers and exact; moved to near the centroid, they lose no digits.
    """
    row, col, length = runs.row, runs.col, runs.length
    pairs = length * (length - 1) // 2
    cols = length * col + pairs
    squares = length * col * col + 2 * col * pairs + pairs * (2 * length - 1) // 3
    area, y, x, yy, xx, yx = (
        _sums(part, values, count)
        for values in (length, length * row, cols, length * row * row, squares, row * cols)
    )
    top, left = y // area, x // area
    down, across = (y - top * area) / area, (x - left * area) / area
    covariance = (
        (yy - 2 * top * y + top * top * area) / area - down * down,
        (xx - 2 * left * x + left * left * area) / area - across * across,
        (yx - top * x - left * y + top * left * area) / area - down * across,
    )
    return area, (y / area, x / area), covariance


def _sums(part: Ints, values: Ints, count: int) -> Ints:
    """Sums of whole numbers over each nucleus, exact below 2**53."""
    return np.bincount(part, values, minlength=count).astype(np.intp)
