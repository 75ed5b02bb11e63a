"""Which slide each tile is of."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import ArrayError

Indices: TypeAlias = NDArray[np.intp]
SlideLabels: TypeAlias = Sequence[Hashable] | NDArray[Any]


@dataclass(frozen=True)
class Slides:
    """Tiles in the order of their slides.

    Attributes
    ----------
    order : ndarray of shape (N,), int
        Tiles, slide after slide.
    first, size : ndarray of shape (G,), int
        Where each slide begins in `order`, and its number of tiles.
    """

    order: Indices
    first: Indices
    size: Indices

    def __len__(self) -> int:
        return len(self.size)


def slide_numbers(labels: SlideLabels, tiles: int) -> Indices:
    """Number of the slide of each tile, from 0 in the order in which labels first come.

    Raises
    ------
    ArrayError
        If there is not one label for each of `tiles`, or a label is None.
    """
    if len(labels) != tiles:
        raise ArrayError(f"expected the slide of each of {tiles} tiles, got {len(labels)} labels")
    if any(label is None for label in labels):
        raise ArrayError("the slide of a tile is None: leave out tiles of unknown slides, or all")
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.intp)


def slides_of(numbers: Indices) -> Slides:
    """Slides of tiles that carry the numbers (N,) of theirs; numbers may be skipped."""
    order = np.argsort(numbers, kind="stable")
    _, first, size = np.unique(numbers[order], return_index=True, return_counts=True)
    return Slides(order, first, size)
