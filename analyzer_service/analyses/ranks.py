"""Ranks of values, equal ones sharing theirs.

`scipy.stats.rankdata` gives the same; importing `scipy.stats` takes a worker about a second.
"""

import numpy as np

from analyzer_service.analyses.arrays import Floats


def midranks(rows: Floats) -> Floats:
    """Rank of each value in its row (N, K), from 1; equal values have the mean of their ranks.

    Parameters
    ----------
    rows : ndarray of shape (N, K), finite

    Returns
    -------
    ndarray of shape (N, K)

    Examples
    --------
    >>> midranks(np.array([[3.0, 1.0, 3.0]]))
    array([[2.5, 1. , 2.5]])
    """
    order = np.argsort(rows, axis=1)
    ordered = np.take_along_axis(rows, order, axis=1)
    ranks = np.empty(rows.shape)
    places = np.broadcast_to(np.arange(1.0, rows.shape[1] + 1), rows.shape)
    np.put_along_axis(ranks, order, places, axis=1)
    for row in np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1)):
        first = np.searchsorted(ordered[row], rows[row], side="left")
        behind = np.searchsorted(ordered[row], rows[row], side="right")
        ranks[row] = (first + behind + 1) / 2.0
    return ranks
