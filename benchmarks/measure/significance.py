"""The tests of significance by scipy and by their definitions, as slow as that is."""

import numpy as np
import scipy.stats
from scipy.spatial.distance import pdist, squareform


class PairwiseModifiedT:
    """Dutilleul's test with full matrices over all pairs of cells of one grid.

    The classes of the pairs are found once, as ours are.
    """

    def __init__(self, size: int) -> None:
        distances = squareform(pdist(np.argwhere(np.ones((size, size)))))
        nclass = int(np.ceil(distances.max()))
        bounds = np.cumsum(np.full(nclass, distances.max() / nclass))
        self.classes = np.minimum(np.searchsorted(bounds, distances), nclass - 1) + 1
        np.fill_diagonal(self.classes, 0)
        self.pairs = np.bincount(self.classes.ravel())

    def p(self, a: np.ndarray, maps: np.ndarray) -> list[float]:
        one = self.centered(a)
        return [self.judged(a, f, one, self.centered(f)) for f in maps]

    def centered(self, field: np.ndarray) -> np.ndarray:
        """Estimated correlation of every two cells, less the means of its columns."""
        z = field.ravel() - field.mean()
        products = np.outer(z, z).ravel() / np.mean(z**2)
        moran = np.bincount(self.classes.ravel(), products) / np.maximum(self.pairs, 1)
        moran[0] = 1.0
        matrix = moran[self.classes]
        return matrix - matrix.mean(axis=0)

    @staticmethod
    def judged(a: np.ndarray, f: np.ndarray, one: np.ndarray, other: np.ndarray) -> float:
        ess = 1 + np.trace(one) * np.trace(other) / (one * other.T).sum()
        r = scipy.stats.pearsonr(a.ravel(), f.ravel()).statistic
        return float(scipy.stats.f.sf((ess - 2) * r**2 / (1 - r**2), 1, ess - 2))


def strongest_shift(a: np.ndarray, f: np.ndarray) -> float:
    """Largest magnitude of the correlation of `a` with `f` rolled to every place."""
    height, width = a.shape
    return max(
        abs(np.corrcoef(a.ravel(), np.roll(f, (i, j), (0, 1)).ravel())[0, 1])
        for i in range(height)
        for j in range(width)
    )


def mismatched_pairings(maps: np.ndarray, features: np.ndarray, permutations: int) -> float:
    """Matched mean that scipy's permutation test judges, from every pairing's correlation."""
    matrix = np.array(
        [[scipy.stats.pearsonr(a.ravel(), f.ravel()).statistic for f in features] for a in maps]
    )
    tiles = np.arange(len(matrix))
    test = scipy.stats.permutation_test(
        (tiles,),
        lambda order, axis: matrix[tiles, order].mean(axis=axis),
        permutation_type="pairings",
        vectorized=True,
        n_resamples=permutations,
        rng=np.random.default_rng(0),
    )
    return float(test.statistic)
