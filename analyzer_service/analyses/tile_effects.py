"""The effect of the mismatched-tile test, tile by tile."""

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.pairings import pairings
from analyzer_service.analyses.slides import SlideLabels


def tile_effects(matrix: ArrayLike, *, groups: SlideLabels | None = None) -> Floats:
    """The effect of `mismatched_test_of` tile by tile, for an interval around it.

    A tile's own value, less what its attention and its feature get with the tiles of other
    slides on average: their mean is the effect, their spread its uncertainty (they are what
    each tile contributes to it). Pass them to `cluster_bootstrap` with the same slides.

    Parameters
    ----------
    matrix, groups
        As of `mismatched_test_of`.

    Returns
    -------
    ndarray of shape (N,)
        NaN for tiles that the test leaves out, and for all if there are no two tiles.

    Raises
    ------
    ArrayError
        As `mismatched_test_of` does.

    Examples
    --------
    >>> tile_effects([[0.9, 0.1], [0.3, 0.5]]).round(6).tolist()
    [0.7, 0.3]
    """
    found = pairings(matrix, groups)
    effects = np.full(found.given, np.nan)
    if len(found.tiles) < 2:
        return effects
    matched = np.diagonal(found.values)
    away = np.where(found.mismatched, found.values, 0.0)
    own = matched - (away.sum(axis=1) + away.sum(axis=0)) / found.mismatched.sum(axis=1)
    effect = matched.mean() - found.values[found.mismatched].mean()
    effects[found.tiles] = own - own.mean() + effect
    return effects
