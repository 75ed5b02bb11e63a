"""Areas united and subtracted, by their sizes and by shapely's own predicates."""

from typing import Any

import pytest
import shapely
from shapely.geometry import shape

from analyzer_service.page.annotating.combining import combine
from analyzer_service.page.answers import PageError


def box(left: float, top: float, right: float, bottom: float) -> dict[str, Any]:
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return {"type": "Polygon", "coordinates": [ring]}


def test_areas_are_united() -> None:
    joined = combine({"op": "union", "geometries": [box(0, 0, 4, 4), box(2, 0, 6, 4)]})
    assert joined is not None
    assert shape(joined).equals(shapely.box(0, 0, 6, 4))
    apart = combine({"op": "union", "geometries": [box(0, 0, 1, 1), box(5, 5, 6, 6)]})
    assert apart is not None
    assert (apart["type"], shape(apart).area) == ("MultiPolygon", 2)


def test_all_others_are_taken_from_the_first() -> None:
    cut = combine(
        {"op": "subtract", "geometries": [box(0, 0, 9, 9), box(3, 3, 6, 6), box(8, 0, 9, 9)]}
    )
    assert cut is not None
    assert shape(cut).area == 81 - 9 - 9
    assert len(cut["coordinates"]) == 2
    assert combine({"op": "subtract", "geometries": [box(1, 1, 2, 2), box(0, 0, 9, 9)]}) is None


@pytest.mark.parametrize(
    "asked",
    [
        [],
        {"op": "join", "geometries": []},
        {"op": "union", "geometries": []},
        {"op": "union", "geometries": [{"type": "Point", "coordinates": [1, 1]}]},
        {"op": "union", "geometries": [{"type": "Polygon", "coordinates": [[[0, "x"]]]}]},
        {"op": "union", "geometries": [None]},
    ],
)
def test_what_is_no_area_is_refused(asked: Any) -> None:
    with pytest.raises(PageError) as refused:
        combine(asked)
    assert refused.value.status == 422
