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
        closed = [_closed(ring, repairs) for ring in rings]
        drawn = _drawn(closed)
        if shapely.is_valid(drawn) and drawn.area > 0:
            polygons.append(Polygon(tuple(ring for ring in closed if _encloses(ring))))
        else:
            polygons += _parts(_repaired(drawn, repairs))
    return tuple(polygons), frozenset(repairs)


def even_odd(rings: Sequence[Ring]) -> tuple[tuple[Polygon, ...], frozenset[str]]:
    """The same of rings without an order: inside is what an odd number of them enclose."""
    repairs: set[str] = set()
    shape: Any = shapely.Polygon()
    for ring in rings:
        drawn = _drawn([_closed(ring, repairs)])
        sound = drawn if shapely.is_valid(drawn) else _repaired(drawn, repairs)
        shape = shapely.symmetric_difference(shape, sound)
    return tuple(_parts(shape)), frozenset(repairs)


def _closed(ring: Ring, repairs: set[str]) -> Ring:
    if not len(ring) or (ring[0] == ring[-1]).all():
        return ring
    repairs.add("open")
    return np.concatenate([ring, ring[:1]])


def _drawn(rings: Sequence[Ring]) -> Any:
    """Shape of an outline and its holes, sound or not; empty if the outline is but a line."""
    if not rings or not _encloses(rings[0]):
        return shapely.Polygon()
    return shapely.Polygon(rings[0], [ring for ring in rings[1:] if _encloses(ring)])


def _encloses(ring: Ring) -> bool:
    """Whether it has the corners of a triangle at least, with the first one again at the end."""
    return len(ring) > 3


def _repaired(drawn: Any, repairs: set[str]) -> Any:
    fixed = shapely.make_valid(drawn, method="structure", keep_collapsed=False)
    if shapely.area(fixed) > 0:
        repairs.add("crossing")
    return fixed


def _parts(shape: Any) -> list[Polygon]:
    return [
        Polygon(tuple(np.asarray(ring.coords) for ring in (part.exterior, *part.interiors)))
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon" and part.area > 0
    ]
