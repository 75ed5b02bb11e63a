"""Correlation of maps: standardized cells, ranks, and all pairings of two stacks at once."""

import math
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map, as_maps
from analyzer_service.analyses.ranks import midranks
from analyzer_service.analyses.status import OK, status_codes
from analyzer_service.analyses.values import unit_scale

Method: TypeAlias = Literal["pearson", "spearman"]

METHODS: Final[tuple[Method, ...]] = ("pearson", "spearman")


def spearman(map_a: ArrayLike, map_b: ArrayLike) -> float:
    """Spearman's rank correlation of two maps (H, W); NaN unless both have a pattern.

    Equal values share the mean of their ranks.

    Returns
    -------
    float
        In [-1, 1]; 1 if one map is a strictly increasing function of the other.

    Raises
    ------
    ArrayError
        If one is not a real-valued 2-D array, or their sizes differ.

    Examples
    --------
    >>> spearman([[1, 2], [3, 4]], [[1, 10], [100, 1000]])
    1.0
    """
    one, other = as_map(map_a), as_map(map_b)
    if one.shape != other.shape:
        raise ArrayError(f"maps to compare must have one size, got {one.shape} and {other.shape}")
    rows = unit_rows(np.stack([one, other]), method="spearman")
    return float(np.clip((rows[0] * rows[1]).sum(), -1.0, 1.0))


def correlation_matrix(
    maps: ArrayLike, features: ArrayLike, *, method: Method = "pearson"
) -> Floats:
    """Correlation of every map of one stack with every map of another, by matrix products.

    The result is the same to the last bit, however many threads multiply.

    Parameters
    ----------
    maps : array of shape (N, H, W)
    features : array of shape (M, H, W)
    method : {"pearson", "spearman"}

    Returns
    -------
    ndarray of shape (N, M)
        In [-1, 1]; the rows and columns of maps without a pattern (constant, tiny, not finite)
        are NaN.

    Raises
    ------
    ArrayError
        If one is not a stack of real-valued maps, or their maps differ in size.
    ValueError
        If `method` is another one.
    """
    one, other = as_maps(maps), as_maps(features)
    if one.shape[1:] != other.shape[1:]:
        raise ArrayError(
            f"maps and features must have one size, got {one.shape[1:]} and {other.shape[1:]}: "
            "regrid the features to the grid of the maps"
        )
    if not one[0:1].size:  # no cells: nothing to multiply, and nothing defined
        return np.full((len(one), len(other)), np.nan)
    products = _products(unit_rows(one, method=method), unit_rows(other, method=method))
    return np.clip(products, -1.0, 1.0)


def unit_rows(stack: Floats, *, method: Method = "pearson") -> Floats:
    """Cells of each map of a stack (N, H, W) as a row of mean 0 and length 1.

    The product of two rows is the correlation of their maps.

    Returns
    -------
    ndarray of shape (N, H * W)
        NaN for a map without a pattern (constant, tiny, not finite).

    Raises
    ------
    ValueError
        If `method` is neither ``pearson`` nor ``spearman``.
    """
    if method not in METHODS:
        raise ValueError(f"expected a method of {METHODS}, got {method!r}")
    count, height, width = stack.shape
    shaped = status_codes(stack) == OK
    stack, select = (stack, ...) if shaped.all() else (stack[shaped], shaped)
    rows = np.full((count, height * width), np.nan)
    if len(stack):
        rows[select] = standardized(_ranks(stack) if method == "spearman" else stack)
    return rows


def standardized(stack: Floats) -> Floats:
    """`unit_rows` of maps (N, H, W) that are known to have a pattern, N >= 1."""
    count, height, width = stack.shape
    rows = unit_scale(stack)[0].reshape(count, height * width)
    centered = rows - rows.mean(axis=1, keepdims=True)
    result: Floats = centered / np.linalg.norm(centered, axis=1, keepdims=True)
    return result


def _ranks(stack: Floats) -> Floats:
    return midranks(stack.reshape(len(stack), -1)).reshape(stack.shape)


def _products(one: Floats, other: Floats) -> Floats:
    """``one @ other.T`` of rows of length 1, for which threads do not matter.

    A matrix product adds in an order that depends on the number of threads. Here each product
    only adds multiples of one power of two whose sums have no more than 53 bits, so every order
    is exact. What is rounded off to that end is the last bits of a float, as in any product.
    """
    # Rows of length 1: sums of high * high stay under 2, those of high * low under 2**-27 times
    # the root of the number of cells.
    bits = 54 - math.ceil(math.log2(max(one.shape[1], 1)) / 2)
    high_one, low_one = _halves(one, bits)
    high_other, low_other = _halves(other, bits)
    small = high_one @ low_other.T + low_one @ high_other.T
    result: Floats = high_one @ high_other.T + small
    return result


def _halves(rows: Floats, bits: int) -> tuple[Floats, Floats]:
    """Multiples of ``2**-26``, and what they leave in multiples of ``2**-bits``."""
    high = np.ldexp(np.rint(np.ldexp(rows, 26)), -26)
    return high, np.ldexp(np.rint(np.ldexp(rows - high, bits)), -bits)
