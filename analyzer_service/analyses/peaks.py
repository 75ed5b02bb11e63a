"""How many separate places a map attends to: peaks that stand out, counted by persistence.

Lower a water level from the highest cell to the lowest. Each local maximum surfaces as an
island; where two islands meet, the lower one ends. How far its top stands above that meeting
point is its persistence. Bumps of the noise have little, separate foci have much.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats
from analyzer_service.analyses.density import regrid

PEAK_GRID: Final = 16
PROMINENCE: Final = 0.2  # of the range
HALF_MAXIMUM: Final = 0.5
TIE: Final = 1e-9  # values this close to a limit lie on it, whatever the rounding
FLAT_RANGE: Final = 1e-6

Ints = NDArray[np.intp]


def peak_metrics(excesses: Floats) -> dict[str, Floats]:
    """Number of peaks and area at half maximum of each excess map (N, H, W).

    Maps are brought to 16 x 16 cells first. One that is constant there (a fine checkerboard)
    has no peak and no coverage, as a flat map has.

    Returns
    -------
    dict of str to ndarray of shape (N,)
        ``num_attention_peaks`` (0, or from 1 up) and ``peak_coverage`` (share of cells; 0, or
        up to 1).
    """
    fields = relief(excesses)
    shaped = fields.max(axis=(1, 2)) > 0
    counts = np.zeros(len(fields))
    if shaped.any():
        tops, lives = _lives(fields[shaped])
        standing = tops[lives >= PROMINENCE - TIE]
        counts[shaped] = np.bincount(standing // fields[0].size, minlength=int(shaped.sum()))
    coverage = (fields >= HALF_MAXIMUM - TIE).mean(axis=(1, 2))
    return {"num_attention_peaks": counts, "peak_coverage": coverage}


def relief(excesses: Floats) -> Floats:
    """Excess maps on the 16 x 16 grid, each stretched to [0, 1]; all 0 where constant there."""
    coarse = regrid(excesses, (PEAK_GRID, PEAK_GRID))
    low = coarse.min(axis=(1, 2), keepdims=True)
    span = coarse.max(axis=(1, 2), keepdims=True) - low
    shaped = span > FLAT_RANGE * (low + span)
    return np.where(shaped, coarse - low, 0.0) / np.where(shaped, span, 1.0)


def persistences(field: Floats) -> Floats:
    """Persistence of each local maximum of a field, the largest first.

    Classes of dimension 0 of the superlevel filtration with 8 neighbors a cell. The global
    maximum never ends; its persistence is the range of the field. Equal neighbors count as one
    maximum (entries of 0 may remain).

    Parameters
    ----------
    field : ndarray of shape (H, W), finite

    Returns
    -------
    ndarray of shape (number of maxima,)
    """
    return np.sort(_lives(field[None])[1])[::-1]


def _lives(fields: Floats) -> tuple[Ints, Floats]:
    """Names and persistences of the local maxima of fields (N, H, W).

    Cells are named by their rank in the order of values, the second field's after the first's:
    the field of a cell is its name // (H * W). Fields share no neighbors, so all are one forest.
    """
    levels, tops, edges = _basins(fields)
    lives = np.zeros(levels.size)
    lives[tops] = np.ptp(levels, axis=1)[tops // levels.shape[1]]
    ended, saddles = _mergers(edges)
    lives[ended] = levels.ravel()[ended] - levels.ravel()[saddles]
    return tops, lives[tops]


class _Edges(NamedTuple):
    """Where two basins meet first, the highest first: rank of the saddle, ranks of both tops."""

    saddle: Ints
    first: Ints
    second: Ints


def _basins(fields: Floats) -> tuple[Floats, Ints, _Edges]:
    """Sorted values of each field's cells, ranks of the maxima, and where their basins meet.

    Rank also decides between equals: each cell has one highest neighbor, and following it
    upward ends at the basin's top.
    """
    count, size = len(fields), fields[0].size
    values = fields.reshape(count, size)
    order = np.argsort(values, axis=1, kind="stable")
    names = np.arange(count * size)
    grid = np.empty((count, size), dtype=np.intp)
    np.put_along_axis(grid, order, names.reshape(count, size), axis=1)
    grid = grid.reshape(fields.shape)
    upward = np.empty(count * size, dtype=np.intp)
    upward[grid.ravel()] = _highest_neighbor(grid).ravel()
    while True:
        further = upward[upward]
        if np.array_equal(further, upward):
            break
        upward = further
    tops = np.flatnonzero(upward == names)
    return np.take_along_axis(values, order, axis=1), tops, _edges(grid, upward)


def _highest_neighbor(grid: Ints) -> Ints:
    count, height, width = grid.shape
    padded = np.full((count, height + 2, width + 2), -1, dtype=np.intp)
    padded[:, 1:-1, 1:-1] = grid
    tall = np.maximum(np.maximum(padded[:, :-2], padded[:, 1:-1]), padded[:, 2:])
    return np.maximum(np.maximum(tall[..., :-2], tall[..., 1:-1]), tall[..., 2:])


def _edges(grid: Ints, top_of: Ints) -> _Edges:
    pairs = [
        (grid[:, :, :-1], grid[:, :, 1:]),
        (grid[:, :-1], grid[:, 1:]),
        (grid[:, :-1, :-1], grid[:, 1:, 1:]),
        (grid[:, :-1, 1:], grid[:, 1:, :-1]),
    ]
    one = np.concatenate([a.ravel() for a, _ in pairs])
    other = np.concatenate([b.ravel() for _, b in pairs])
    between = top_of[one] != top_of[other]
    one, other = one[between], other[between]
    saddle = np.minimum(one, other)
    fall = np.argsort(-saddle, kind="stable")
    first, second = top_of[one[fall]], top_of[other[fall]]
    pair = np.minimum(first, second) * len(top_of) + np.maximum(first, second)
    highest = np.sort(np.unique(pair, return_index=True)[1])  # later meetings join nothing
    return _Edges(saddle[fall][highest], first[highest], second[highest])


def _mergers(edges: _Edges) -> tuple[list[int], list[int]]:
    """Tops and saddles of the maxima that end, by joining basins from the highest saddle."""
    parent: dict[int, int] = {}

    def find(top: int) -> int:
        while (above := parent.get(top, top)) != top:
            parent[top] = parent.get(above, above)
            top = above
        return top

    ended: list[int] = []
    saddles: list[int] = []
    for saddle, first, second in zip(*(column.tolist() for column in edges), strict=True):
        one, other = find(first), find(second)
        if one != other:
            lower = min(one, other)
            parent[lower] = max(one, other)
            ended.append(lower)
            saddles.append(saddle)
    return ended, saddles
