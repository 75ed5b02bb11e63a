"""Points: marks without an area, which are kept but never scored."""

import math
from collections.abc import Mapping
from typing import Any

from analyzer_service.annotations.geojson import LARGEST_COORDINATE


def read_point(geometry: Mapping[str, Any]) -> tuple[float, float]:
    """Place ``(x, y)`` of a GeoJSON Point, in pixels; what comes after the two is left out.

    Raises
    ------
    ValueError
        If it has no two numbers, or one beyond any slide.

    Examples
    --------
    >>> read_point({"type": "Point", "coordinates": [3, 4.5]})
    (3.0, 4.5)
    """
    place = geometry.get("coordinates")
    if not isinstance(place, list) or not 2 <= len(place) <= 4 or not all(map(_is_place, place)):
        raise ValueError(f"a point is two numbers within {LARGEST_COORDINATE:.0e} pixels")
    return float(place[0]), float(place[1])


def _is_place(value: Any) -> bool:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    return usable and math.isfinite(value) and abs(value) <= LARGEST_COORDINATE
