"""Many tests at once: Benjamini and Hochberg's control of the false discovery rate."""

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import ArrayError, Floats, as_numbers


def benjamini_hochberg(p: ArrayLike) -> Floats:
    """Adjusted p-values: reject where at most q, and about a share q of the rejected is false.

    Parameters
    ----------
    p : array of any shape
        In [0, 1]; NaN for a test that could not be made, which does not count as one.

    Returns
    -------
    ndarray of the same shape
        In [0, 1], never below `p`; NaN where `p` is.

    Raises
    ------
    ArrayError
        If `p` is not real-valued or a value lies outside [0, 1].

    Notes
    -----
    Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", J. R. Stat. Soc. B 57
    (1995) 289-300. Equal to `scipy.stats.false_discovery_control`, which refuses NaN. Holds for
    independent tests and for positively dependent ones, as of features that go together.

    Examples
    --------
    >>> benjamini_hochberg([0.01, np.nan, 0.03, 0.5]).round(3).tolist()
    [0.03, nan, 0.045, 0.5]
    """
    values = as_numbers(p)
    known = ~np.isnan(values)
    tested = values[known]
    if ((tested < 0.0) | (tested > 1.0)).any():
        raise ArrayError("p-values must lie in [0, 1]: pass NaN for a test that was not made")
    order = np.argsort(tested, kind="stable")
    scaled = tested[order] * len(tested) / np.arange(1, len(tested) + 1)
    adjusted = np.empty(len(tested))
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
    result = np.full(values.shape, np.nan)
    result[known] = adjusted
    return result
