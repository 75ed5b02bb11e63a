"""Which tile's feature each tile is given, when tiles are permuted within and between slides."""

import itertools
import math
from typing import Final

import numpy as np

from analyzer_service.analyses.slides import Indices, Slides

MOST_ENUMERATED: Final = 5040  # all the orders of 7 tiles


def arrangements(slides: Slides) -> int:
    """How many ways there are to permute the slides, and the tiles within each."""
    return math.prod(map(math.factorial, (len(slides), *map(int, slides.size))))


def all_assignments(slides: Slides) -> Indices:
    """Every assignment, the tiles' own among them, as `random_assignments` gives them."""
    between = list(itertools.permutations(range(len(slides))))
    tiles = [
        range(first, first + size) for first, size in zip(slides.first, slides.size, strict=True)
    ]
    within = [sum(parts, ()) for parts in itertools.product(*map(itertools.permutations, tiles))]
    slide_orders, tile_orders = np.array(between, np.intp), np.array(within, np.intp)
    return _assigned(
        slides,
        np.repeat(slide_orders, len(tile_orders), axis=0),
        np.tile(tile_orders, (len(slide_orders), 1)),
    )


def random_assignments(slides: Slides, count: int, rng: np.random.Generator) -> Indices:
    """Assignments drawn at random, each with the same chance.

    The slides are permuted, and the tiles of a slide are given features of the one slide that
    took its place, in a random order. A slide with fewer tiles gives its features again from
    the beginning.

    Returns
    -------
    ndarray of shape (count, N), int
        The tile whose feature each tile is given.
    """
    slide_orders = np.argsort(rng.random((count, len(slides))), axis=1)
    if len(slides) == len(slides.order):  # a tile each: nothing to permute within
        return slides.order[slide_orders][:, np.argsort(slides.order)]
    keys = rng.random((count, len(slides.order)))
    keys += np.repeat(np.arange(len(slides)), slides.size)
    return _assigned(slides, slide_orders, np.argsort(keys, axis=1))


def _assigned(slides: Slides, slide_orders: Indices, tile_orders: Indices) -> Indices:
    slide = np.repeat(np.arange(len(slides)), slides.size)
    place = np.arange(len(slide)) - slides.first[slide]
    given = slide_orders[:, slide]
    places = slides.first[given] + place % slides.size[given]
    assigned = np.empty_like(tile_orders)
    assigned[:, slides.order] = slides.order[np.take_along_axis(tile_orders, places, axis=1)]
    return assigned
