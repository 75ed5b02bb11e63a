"""Toroidal shifts: how two maps correlate when one is moved around the other."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import scipy.fft
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map
from analyzer_service.analyses.correlation import unit_rows

_TIE: Final = 1e-12


@dataclass(frozen=True)
class ToroidalShiftTest:
    """Correlation of two maps, among those at all shifts.

    Attributes
    ----------
    r : float
        Pearson's correlation as the maps lie.
    p : float
        Share of all H * W shifts, the one by nothing among them, whose correlation is at least
        as strong; at least ``1 / (H * W)``.
    max_abs_r : float
        The strongest correlation at any shift.
    shifts : ndarray of shape (H, W)
        ``shifts[i, j]`` is the correlation of `a` with `f` rolled by i rows and j columns.
    """

    r: float
    p: float
    max_abs_r: float
    shifts: Floats


def toroidal_shift_test(a: ArrayLike, f: ArrayLike) -> ToroidalShiftTest:
    """Compare the correlation of two maps with that at every toroidal shift; exploratory only.

    Tissue does not wrap around: at a shift the opposite borders of a map meet, which breaks
    what made it smooth. So the test is liberal for smooth maps (at a correlation length of 0.3
    of the tile it calls one of six unrelated maps significant at 0.05) and no evidence. Its p
    is at least ``1 / (H * W)``: a map of 16 cells cannot reach 0.05.

    Parameters
    ----------
    a, f : array of shape (H, W)

    Returns
    -------
    ToroidalShiftTest
        NaN unless both maps have a pattern (are not constant, tiny or with a value not finite).

    Raises
    ------
    ArrayError
        If one is not a real-valued 2-D array, or their sizes differ.
    """
    one, other = as_map(a), as_map(f)
    if one.shape != other.shape:
        raise ArrayError(
            f"maps to shift must have one size, got {one.shape} and {other.shape}: "
            "regrid the feature to the grid of the gate"
        )
    shifts = _shifted_correlations(one, other)
    if np.isnan(shifts).any() or not shifts.size:
        return ToroidalShiftTest(np.nan, np.nan, np.nan, shifts)
    strength = np.abs(shifts)
    p = float((strength >= strength[0, 0] - _TIE).mean())
    return ToroidalShiftTest(float(shifts[0, 0]), p, float(strength.max()), shifts)


def _shifted_correlations(a: Floats, f: Floats) -> Floats:
    if not a.size:
        return np.empty(a.shape)
    rows, columns = (unit_rows(each[None]).reshape(a.shape) for each in (a, f))
    if np.isnan(rows[0, 0]) or np.isnan(columns[0, 0]):
        return np.full(a.shape, np.nan)
    product = scipy.fft.rfft2(rows) * np.conj(scipy.fft.rfft2(columns))
    correlations: Floats = np.clip(scipy.fft.irfft2(product, a.shape), -1.0, 1.0)
    return correlations
