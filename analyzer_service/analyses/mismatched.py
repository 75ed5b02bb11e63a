"""The mismatched-tile test: does attention follow the content of its own tile?

Attention that looks at the same places of every tile (its border, its center) correlates with
features that also do. What it cannot do is fit the features of its own tile better than those of
another. So the null is the same run with the features of the tiles permuted: it needs no model of
how smooth maps are, and what all tiles share is in it.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.correlation import Method, correlation_matrix
from analyzer_service.analyses.pairings import pairings
from analyzer_service.analyses.reassignment import (
    MOST_ENUMERATED,
    all_assignments,
    arrangements,
    random_assignments,
)
from analyzer_service.analyses.slides import (
    Indices,
    SlideLabels,
    Slides,
    slides_of,
)

_TIE: Final = 1e-12  # of the largest value: sums of the same numbers in another order


@dataclass(frozen=True)
class MismatchedTileTest:
    """How much better attention fits its own tiles than others, and how often chance does that.

    Attributes
    ----------
    matched_mean : float
        Mean over tiles of the value of a tile's attention with its own feature.
    mismatched_mean : float
        Mean over pairs of tiles of different slides; of different tiles, where no slide is known
        or there is only one.
    effect : float
        ``matched_mean - mismatched_mean``.
    p : float
        Two-sided, in (0, 1]; NaN with fewer than two tiles.
    n : int
        Tiles that were tested.
    left_out : int
        Tiles that were not, because a value of theirs is undefined.
    slides : int
        Slides of the tested tiles; 0 where none is known.
    within_one_slide : bool
        All tested tiles are of one slide and were permuted within it: the result says nothing
        about other slides.
    permutations : int
        How many were looked at.
    exact : bool
        They are all there are.
    """

    matched_mean: float
    mismatched_mean: float
    effect: float
    p: float
    n: int
    left_out: int
    slides: int
    within_one_slide: bool
    permutations: int
    exact: bool


def mismatched_tile_test(
    maps: ArrayLike,
    features: ArrayLike,
    *,
    groups: SlideLabels | None = None,
    permutations: int = 999,
    seed: int = 0,
    statistic: Method = "pearson",
) -> MismatchedTileTest:
    """Test whether maps correlate with the features of their own tiles more than with others'.

    Parameters
    ----------
    maps, features : array of shape (N, H, W)
        Of distinct tiles, see `choose_tiles`: the cost grows with the square of N.
    groups, permutations, seed
        As of `mismatched_test_of`.
    statistic : {"pearson", "spearman"}
        The correlation. For any other statistic see `mismatched_test_of`.

    Returns
    -------
    MismatchedTileTest
        A tile whose map or feature has no pattern (constant, tiny, not finite) is left out.

    Raises
    ------
    ArrayError
        If the stacks are not real-valued, or differ in number or size; or as of
        `mismatched_test_of`.
    ValueError
        If `statistic` is another one.

    Examples
    --------
    >>> tiles = np.random.default_rng(0).random((20, 8, 8))
    >>> border = np.pad(np.zeros((6, 6)), 1, constant_values=9)  # in both, and fits every tile
    >>> noise = np.random.default_rng(1).random((20, 8, 8))
    >>> test = mismatched_tile_test(tiles + border, noise + border)
    >>> print(f"r {test.matched_mean:.3f}, with other tiles {test.mismatched_mean:.3f}")
    r 0.996, with other tiles 0.996
    >>> test.p > 0.05
    True
    >>> mismatched_tile_test(tiles + border, tiles + noise + border).p
    0.001
    """
    matrix = correlation_matrix(maps, features, method=statistic)
    return mismatched_test_of(matrix, groups=groups, permutations=permutations, seed=seed)


def mismatched_test_of(
    matrix: ArrayLike,
    *,
    groups: SlideLabels | None = None,
    permutations: int = 999,
    seed: int = 0,
) -> MismatchedTileTest:
    """Mismatched-tile test of any statistic: overlap, enrichment, AUC, a correlation.

    Parameters
    ----------
    matrix : array of shape (N, N)
        ``matrix[i, j]`` is the value of the attention of tile i with the feature of tile j.
    groups : sequence of N labels, optional
        The slide of each tile. Tiles of a slide resemble one another, so slides are permuted as
        wholes: all tiles of a slide are given features of one slide, in a random order. A slide
        that stays in its place has its tiles permuted within. Without `groups` every tile
        counts as a slide of its own.
    permutations : int
        How many are drawn, if there are more than 5040 (7 tiles) in all; else all are looked at.
    seed : int
        Of the drawing.

    Returns
    -------
    MismatchedTileTest
        `p` is the share of permutations, the tiles' own order among them, in which the mean
        value is at least as far from the mean over all permutations: ``(1 + #) / (1 + n)``.
        A tile is left out if its own value is NaN; so is any that still has a NaN with one of
        the tiles left.

    Raises
    ------
    ArrayError
        If `matrix` is not square and real-valued, or `groups` has another length.
    ValueError
        If `permutations` is not positive.

    Notes
    -----
    Random relabelling of a group of permutations with the identity counted: B. Phipson, G. K.
    Smyth, "Permutation p-values should never be zero", Stat. Appl. Genet. Mol. Biol. 9 (2010).
    Only permutations that leave no slide in its place would be no group, and liberal: with two
    slides they would call any chance agreement of the two certain.
    The test assumes that under the null slides are exchangeable and tiles of a slide are. Slides
    of unequal size are, only nearly.
    """
    if permutations < 1:
        raise ValueError(f"permutations must be positive, got {permutations}")
    found = pairings(matrix, groups)
    slides = slides_of(found.numbers)
    n, known = len(found.tiles), groups is not None
    assigned, exact = _assignments(slides, permutations, seed)
    matched, mismatched = _mean(np.diagonal(found.values)), _mean(found.values[found.mismatched])
    return MismatchedTileTest(
        matched_mean=matched,
        mismatched_mean=mismatched,
        effect=matched - mismatched,
        p=_p(found.values, slides, assigned, exact=exact) if n > 1 else math.nan,
        n=n,
        left_out=found.given - n,
        slides=len(slides) if known else 0,
        within_one_slide=known and len(slides) == 1,
        permutations=len(assigned),
        exact=exact,
    )


def _assignments(slides: Slides, permutations: int, seed: int) -> tuple[Indices, bool]:
    if arrangements(slides) <= MOST_ENUMERATED:
        return all_assignments(slides), True
    return random_assignments(slides, permutations, np.random.default_rng(seed)), False


def _p(values: Floats, slides: Slides, assigned: Indices, *, exact: bool) -> float:
    """Share of the assignments whose mean is as far from the null's own mean as the matched."""
    tiles = np.arange(len(values))
    null = values[tiles, assigned].mean(axis=1)
    center = _expected(values, slides)
    distance = abs(float(np.diagonal(values).mean()) - center)
    as_far = int((np.abs(null - center) >= distance - _TIE * np.abs(values).max()).sum())
    return as_far / len(null) if exact else (1 + as_far) / (1 + len(null))


def _expected(values: Floats, slides: Slides) -> float:
    """Mean over all assignments: every slide is given with the same chance, then any its tile."""
    chance = np.empty(len(values))
    chance[slides.order] = np.repeat(1.0 / (slides.size * len(slides)), slides.size)
    return float((values * chance).sum(axis=1).mean())


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan
