"""Areas united, and taken from one another."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import shapely
from shapely.errors import GEOSException

from analyzer_service.annotations.geojson import feature_of
from analyzer_service.annotations.regions import Polygon, Region
from analyzer_service.page.annotating.features import (
    MOST_VERTICES,
    FeatureError,
    count_vertices,
    geometry_of,
)
from analyzer_service.page.answers import PageError

MOST_GEOMETRIES: Final = 1000


def combine(content: Any) -> dict[str, Any] | None:
    """Geometry of areas united, or of the first without all others; None if nothing is left.

    Raises
    ------
    PageError
        422, if a request asks for neither, or a geometry is no area.
    """
    op = content.get("op") if isinstance(content, Mapping) else None
    given = content.get("geometries") if isinstance(content, Mapping) else None
    if op not in ("union", "subtract") or not isinstance(given, list):
        raise PageError(422, 'Expected {"op": "union" or "subtract", "geometries": [...]}.')
    if not 1 <= len(given) <= MOST_GEOMETRIES:
        raise PageError(422, f"Give 1 to {MOST_GEOMETRIES:,} geometries.")
    shapes = [_shape(geometry, number) for number, geometry in enumerate(given)]
    try:
        found = shapely.union_all(shapes if op == "union" else shapes[1:])
        return _geometry(found if op == "union" else shapely.difference(shapes[0], found))
    except GEOSException as error:
        raise PageError(422, f"These areas cannot be combined: {error}") from error


def _shape(geometry: Any, number: int) -> Any:
    try:
        if isinstance(geometry, Mapping) and geometry.get("type") == "Point":
            raise FeatureError("a point has no area")
        sound = geometry_of({"geometry": geometry})
    except FeatureError as error:
        raise PageError(422, f"geometries.{number}: {error}.") from error
    several = sound["type"] == "MultiPolygon"
    areas = sound["coordinates"] if several else [sound["coordinates"]]
    # Parts of one annotation count together, be it that they overlap.
    return shapely.union_all([_polygon(area) for area in areas])


def _polygon(rings: list[list[list[float]]]) -> Any:
    closed = [np.array([place[:2] for place in ring], dtype=np.float64) for ring in rings]
    return shapely.Polygon(closed[0], [ring for ring in closed[1:] if len(ring) > 3])


def _geometry(shape: Any) -> dict[str, Any] | None:
    polygons = tuple(
        Polygon(tuple(np.asarray(ring.coords) for ring in (part.exterior, *part.interiors)))
        for part in shapely.get_parts(shape)
        if part.geom_type == "Polygon" and part.area > 0
    )
    if not polygons:
        return None
    geometry: dict[str, Any] = feature_of(Region(polygons))["geometry"]
    if count_vertices(geometry["coordinates"]) > MOST_VERTICES:
        raise PageError(422, f"The outcome has more than {MOST_VERTICES:,} vertices.")
    return geometry
