"""Outlines as people and programs draw them, made into polygons that are sound."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import shapely

from analyzer_service.annotations.regions import Polygon, Ring


def polygons_of(areas: Sequence[Sequence[Ring]]) -> tuple[tuple[Polygon, ...], frozenset[str]]:
    """Sound polygons of areas, and what had to be repaired.

    Parameters
    ----------
    areas : sequence of sequences of ndarray of shape (n, 2)
        The outline of each area, then those of its holes.

    Returns
    -------
    polygons : tuple of Polygon
        May be empty: an outline that encloses nothing has no area.
    repairs : frozenset of str
        Of ``open`` (an outline was closed) and ``crossing`` (outlines crossed themselves or each
        other; what one would see as inside is kept, holes are cut out).
    """
    repairs: set[str] = set()
    polygons: list[Polygon] = []
    for rings in areas:
        shape = _sound([_closed(ring, repairs) for ring in rings], repairs)
        polygons += _parts(shape)
    return tuple(polygons), frozenset(repairs)


def even_odd(rings: Sequence[Ring]) -> tuple[tuple[Polygon, ...], frozenset[str]]:
    """The same of rings without an order: inside is what an odd number of them enclose."""
    repairs: set[str] = set()
    shape: Any = shapely.Polygon()
    for ring in rings:
        shape = shapely.symmetric_difference(shape, _sound([_closed(ring, repairs)], repairs))
    return tuple(_parts(shape)), frozenset(repairs)


def _closed(ring: Ring, repairs: set[str]) -> Ring:
    if not len(ring) or (ring[0] == ring[-1]).all():
        return ring
    repairs.add("open")
    return np.concatenate([ring, ring[:1]])


def _sound(rings: Sequence[Ring], repairs: set[str]) -> Any:
    """A valid shape; of lines that enclose nothing an empty one."""
    usable = [len(np.unique(ring, axis=0)) >= 3 for ring in rings]
    if not usable[:1] or not usable[0]:
        return shapely.Polygon()
    holes = [ring for ring, use in zip(rings[1:], usable[1:], strict=True) if use]
    shape = shapely.Polygon(rings[0], holes)
    if shapely.is_valid(shape):
        return shape
    fixed = shapely.make_valid(shape, method="structure", keep_collapsed=False)
    if shapely.area(fixed) > 0:
        repairs.add("crossing")
    return fixed


def _parts(shape: Any) -> list[Polygon]:
    return [
        Polygon(tuple(np.asarray(ring.coords) for ring in (part.exterior, *part.interiors)))
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon" and part.area > 0
    ]
