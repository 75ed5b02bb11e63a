"""Values of the attention of every tile with the feature of every tile, and their slides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import ArrayError, Floats, as_map
from analyzer_service.analyses.slides import Indices, SlideLabels, slide_numbers


@dataclass(frozen=True)
class Pairings:
    """The tiles of which every value with one another is defined.

    Attributes
    ----------
    values : ndarray of shape (n, n)
        ``values[i, j]`` is that of the attention of tile i with the feature of tile j.
    numbers : ndarray of shape (n,), int
        Their slides.
    mismatched : ndarray of shape (n, n), bool
        Pairs of tiles of different slides; of different tiles, if there is one slide.
    tiles : ndarray of shape (n,), int
        Where they are among the tiles that were given.
    given : int
        How many were.
    """

    values: Floats
    numbers: Indices
    mismatched: NDArray[np.bool_]
    tiles: Indices
    given: int


def pairings(matrix: ArrayLike, groups: SlideLabels | None) -> Pairings:
    """Take the defined part of a matrix (N, N); without slides each tile is one of its own.

    A tile is left out if its value with its own feature is not finite; so is any that still has
    such a value with one of the tiles left.

    Raises
    ------
    ArrayError
        If `matrix` is not square and real-valued, or `groups` is not the slide of each tile.
    """
    values = as_map(matrix)
    if values.shape[0] != values.shape[1]:
        raise ArrayError(
            f"expected the values of every attention with every feature of the same tiles, "
            f"got shape {values.shape}: pass as many maps as features"
        )
    given = len(values)
    numbers = np.arange(given) if groups is None else slide_numbers(groups, given)
    kept = _defined(values)
    return Pairings(
        values[np.ix_(kept, kept)], numbers[kept], _mismatched(numbers[kept]), kept, given
    )


def _defined(values: Floats) -> Indices:
    own = np.flatnonzero(np.isfinite(np.diagonal(values)))
    undefined = ~np.isfinite(values[np.ix_(own, own)])
    return own[~(undefined.any(axis=0) | undefined.any(axis=1))]


def _mismatched(numbers: Indices) -> NDArray[np.bool_]:
    different: NDArray[np.bool_] = numbers[:, None] != numbers
    if different.any():
        return different
    return ~np.eye(len(numbers), dtype=np.bool_)
