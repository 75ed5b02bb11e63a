"""Dutilleul's modified t test: correlation of two maps whose neighboring cells agree.

Cells of a smooth map are no independent observations. The test asks how many independent ones
would make the correlation vary as much as it does (the effective sample size, ESS), and judges r
by that number.
"""

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map, as_stack
from analyzer_service.analyses.correlation import unit_rows
from analyzer_service.analyses.distance_classes import (
    DistanceClasses,
    default_nclass,
    distance_classes,
)
from analyzer_service.analyses.status import SMALLEST_SIDE

T = TypeVar("T")

_CACHED_VALUES: Final = 1 << 14  # of a spectrum: more maps at a time leave the cache


@dataclass(frozen=True)
class ModifiedT(Generic[T]):
    """Correlation of maps with the effective sample size that judges it.

    A float each for two maps, arrays of one shape for many.

    Attributes
    ----------
    r : float or ndarray
        Pearson's correlation, in [-1, 1].
    ess : float or ndarray
        Effective sample size, in cells. More than there are where neighbors differ more than
        chance would have it; negative, and without a meaning, where they agree in one map and
        differ in the other so much that the estimated variance of r is.
    dof : float or ndarray
        ``ess - 2``.
    p : float or ndarray
        Two-sided, in [0, 1]; NaN where `dof` is not positive.
    """

    r: T
    ess: T
    dof: T
    p: T


def modified_t_test(a: ArrayLike, maps: ArrayLike, *, nclass: int | None = None) -> ModifiedT[Any]:
    """Dutilleul's modified t test of one map against one or many maps of the same grid.

    Descriptive, of one tile: it holds its level for smooth fields, not for maps that share an
    artifact of the border. For a run use `mismatched_tile_test`.

    Parameters
    ----------
    a : array of shape (H, W)
    maps : array of shape (H, W) or (M, H, W)
    nclass : int, optional
        Number of distance classes of equal width. By default ``ceil(hypot(H - 1, W - 1))``, a
        cell each; SpatialPack's own default, 13, is liberal for maps that vary over few cells.

    Returns
    -------
    ModifiedT
        Floats for one map, arrays of shape (M,) for many. NaN where either map has no pattern
        (constant, tiny, not finite).

    Raises
    ------
    ArrayError
        If the maps are not real-valued, differ in size, or `nclass` is no positive number.

    Notes
    -----
    P. Clifford, S. Richardson, D. Hémon, "Assessing the significance of the correlation between
    two spatial processes", Biometrics 45 (1989) 123-134; P. Dutilleul, "Modifying the t test for
    assessing the correlation between two spatial processes", Biometrics 49 (1993) 305-314. Equal
    to `modified.ttest` of the R package SpatialPack.

    Examples
    --------
    >>> ramp = np.add.outer(np.arange(8.0), np.arange(8.0))
    >>> test = modified_t_test(ramp, ramp + np.arange(8.0) % 2)
    >>> print(f"r {test.r:.2f}, {test.ess:.1f} of 64 cells, p {test.p:.3f}")
    r 0.99, 4.9 of 64 cells, p 0.002
    """
    gate, others = as_map(a), as_stack(maps, axes=(2, 3))
    many = others[None] if others.ndim == 2 else others
    found = _tests(gate[None, None], many[None], nclass)
    fields = (found.r, found.ess, found.dof, found.p)
    if others.ndim == 3:
        return ModifiedT(*(values[0, 0] for values in fields))
    return ModifiedT(*(float(values[0, 0, 0]) for values in fields))


def modified_t_tests(
    gates: ArrayLike, maps: ArrayLike, *, nclass: int | None = None
) -> ModifiedT[Floats]:
    """`modified_t_test` of the gates of every tile against the maps of the same tile.

    Each map is transformed once, whatever the number of layers. For layers that arrive one by
    one keep `correlograms(maps)` and hand it to `compared` with each.

    Parameters
    ----------
    gates : array of shape (N, H, W), or (N, L, H, W) for L layers of one grid
    maps : array of shape (N, M, H, W)
    nclass : int, optional
        As of `modified_t_test`.

    Returns
    -------
    ModifiedT
        Arrays of shape (N, M), or (N, L, M).

    Raises
    ------
    ArrayError
        If the maps are not real-valued, differ in size or in the number of tiles, or `nclass`
        is no positive number.
    """
    layers, others = as_stack(gates, axes=(3, 4)), as_stack(maps, axes=(4,))
    if layers.ndim == 4:
        return _tests(layers, others, nclass)
    found = _tests(layers[:, None], others, nclass)
    return ModifiedT(found.r[:, 0], found.ess[:, 0], found.dof[:, 0], found.p[:, 0])


@dataclass(frozen=True)
class Correlograms:
    """Maps of tiles, ready to be tested against others of the same tiles and grid.

    Attributes
    ----------
    classes : DistanceClasses
        Of the grid, for one number of classes.
    rows : ndarray of shape (N, M, H * W)
        Cells of each map, of mean 0 and length 1; NaN for a map without a pattern.
    moran : ndarray of shape (N, M, K)
        Moran's I of each map in each class.
    """

    classes: DistanceClasses
    rows: Floats
    moran: Floats


def correlograms(maps: ArrayLike, *, nclass: int | None = None) -> Correlograms:
    """Moran's I of every map, of shape (N, M, H, W), in every distance class.

    All products of cells at one lag come from one Fourier transform of each map, padded with
    zeros so that nothing wraps around.

    Raises
    ------
    ArrayError
        If `maps` is not real-valued and of that shape, or `nclass` is no positive number.
    """
    stack = as_stack(maps, axes=(4,))
    tiles, count, height, width = stack.shape
    nclass = _checked(nclass, height, width)
    if min(height, width) < SMALLEST_SIDE:  # undefined, and so on the smallest grid that is
        stack, height, width = np.full((tiles, count, 2, 2), np.nan), 2, 2
    classes = distance_classes(height, width, nclass)
    rows = unit_rows(stack.reshape(tiles * count, height, width))
    moran = _moran(rows.reshape(tiles * count, height, width), classes)
    return Correlograms(
        classes,
        rows.reshape(tiles, count, rows.shape[1]),
        moran.reshape(tiles, count, moran.shape[1]),
    )


def compared(one: Correlograms, other: Correlograms) -> ModifiedT[Floats]:
    """Test every map of `one` (N, L) against every map of `other` (N, M) of the same tile.

    Returns
    -------
    ModifiedT
        Arrays of shape (N, L, M).

    Raises
    ------
    ArrayError
        If they differ in the number of tiles, in the grid or in `nclass`.
    """
    if one.classes.grid != other.classes.grid or len(one.rows) != len(other.rows):
        raise ArrayError(
            "maps to test must be of the same tiles, on one grid and with one nclass: "
            "regrid the feature maps to the grid of the gate"
        )
    r = np.clip(np.einsum("nlc,nmc->nlm", one.rows, other.rows), -1.0, 1.0)
    ess = 1.0 + _effective_cells(one, other)
    dof = ess - 2.0
    # Imported here, as scipy.fft below: few frames are tested, and a worker starts without them.
    from scipy.special import betainc

    p = np.full(r.shape, np.nan)
    known = dof > 0.0
    # Student's t in its own terms: t**2 = dof r**2 / (1 - r**2).
    p[known] = betainc(dof[known] / 2.0, 0.5, ((1.0 - r) * (1.0 + r))[known])
    return ModifiedT(r, ess, dof, p)


def _tests(gates: Floats, maps: Floats, nclass: int | None) -> ModifiedT[Floats]:
    if gates.shape[2:] != maps.shape[2:] or len(gates) != len(maps):
        raise ArrayError(
            f"maps to test must be of the same tiles and one size, got shapes {gates.shape} and "
            f"{maps.shape}: regrid the feature maps to the grid of the gate"
        )
    layers = gates.shape[1]
    both = correlograms(np.concatenate([gates, maps], axis=1), nclass=nclass)
    return compared(
        Correlograms(both.classes, both.rows[:, :layers], both.moran[:, :layers]),
        Correlograms(both.classes, both.rows[:, layers:], both.moran[:, layers:]),
    )


def _moran(maps: Floats, classes: DistanceClasses) -> Floats:
    """Moran's I in each class, of maps (M, H, W) with cells of mean 0 and length 1."""
    rows, columns = classes.shape
    together = max(1, _CACHED_VALUES // (rows * (columns // 2 + 1)))
    result = np.empty((len(maps), len(classes.pairs)))
    for first in range(0, len(maps), together):
        chosen = slice(first, first + together)
        result[chosen] = _class_products(maps[chosen], classes)
    result *= maps.shape[1] * maps.shape[2] / classes.pairs
    return result


def _class_products(maps: Floats, classes: DistanceClasses) -> Floats:
    """Sum over the pairs of cells of each class of the products of their values."""
    rows, columns = classes.shape
    # Axis by axis, so that rows of nothing but padding are not transformed one by one.
    from scipy import fft

    spectrum = fft.fft(fft.rfft(maps, columns, axis=2), rows, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    products = fft.irfft(fft.ifft(power, axis=1)[:, : maps.shape[1]], columns, axis=2)
    by_class = products.reshape(len(maps), -1)[:, classes.lags]
    result: Floats = np.add.reduceat(by_class, classes.starts, axis=1)
    return result


def _effective_cells(one: Correlograms, other: Correlograms) -> Floats:
    """``n**2 / tr(B R B S)`` of the matrices R and S that the correlograms stand for.

    B takes the mean away. A map's own cells, less their mean, sum to 0, so every estimated
    matrix does too: its trace under B is n, and what is left of the trace of the product is a
    quadratic form of the two correlograms.
    """
    cells = one.rows.shape[-1]
    through = np.einsum("nlk,kj->nlj", one.moran, one.classes.form)
    trace = cells + 2.0 + np.einsum("nlj,nmj->nlm", through, other.moran)
    count = np.full(trace.shape, np.nan)
    np.divide(cells**2, trace, out=count, where=trace != 0.0)
    return count


def _checked(nclass: int | None, height: int, width: int) -> int:
    if nclass is None:
        return default_nclass(height, width)
    if nclass < 1:
        raise ArrayError(f"nclass, the number of distance classes, must be positive, got {nclass}")
    return int(nclass)
