"""Masks of polygons: every pixel center by shapely, and outlines that are shared."""

import doctest

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer_service.annotations import Polygon, rasterize, rasterizing
from analyzer_service.annotations.repairing import even_odd, polygons_of
from tests.analyzer_service.annotations.drawing import (
    HOLE,
    SQUARE,
    by_shapely,
    instances,
    needs_nuclei,
    region_of,
)


def test_the_example() -> None:
    assert doctest.testmod(rasterizing).failed == 0


def test_centers_inside_and_holes_outside() -> None:
    mask = rasterize([Polygon((np.array(SQUARE, float), np.array(HOLE, float)))], (12, 12))
    expected = np.zeros((12, 12), bool)
    expected[2:10, 2:10] = True
    expected[4:8, 4:8] = False
    np.testing.assert_array_equal(mask, expected)


def test_several_areas_are_united_also_where_they_overlap() -> None:
    square = np.array(SQUARE, float)
    mask = rasterize([Polygon((square,)), Polygon((square + 4,))], (16, 16))
    assert mask[2:10, 2:10].all()
    assert mask[6:14, 6:14].all()
    assert mask.sum() == 64 + 64 - 16


corner = st.tuples(
    st.floats(-30, 60, allow_nan=False).map(lambda x: x + 0.1234567),
    st.floats(-30, 60, allow_nan=False).map(lambda x: x + 0.7654321),
)


@settings(deadline=None, max_examples=60)
@given(st.lists(corner, min_size=3, max_size=14), st.integers(1, 40), st.integers(1, 40))
def test_any_outline_as_shapely_has_it(corners: list, height: int, width: int) -> None:
    polygons, _ = even_odd([np.array(corners)])
    found = rasterize(polygons, (height, width))
    expected = by_shapely(polygons, (height, width))
    for row, col in np.argwhere(found != expected):  # only where the center is on an outline
        center = shapely.Point(col + 0.5, row + 0.5)
        lines = [shapely.LinearRing(ring) for polygon in polygons for ring in polygon.rings]
        assert min(center.distance(line) for line in lines) < 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_areas_that_share_outlines_share_no_pixel_and_leave_none_out(seed: int) -> None:
    rng = np.random.default_rng(seed)
    sites = shapely.MultiPoint(rng.integers(0, 64, (40, 2)) / 2)  # outlines through centers
    cells = shapely.voronoi_polygons(sites, extend_to=shapely.box(-5, -5, 45, 45))
    parts = [Polygon((np.asarray(cell.exterior.coords),)) for cell in cells.geoms]
    total = sum(rasterize([part], (32, 32)).astype(int) for part in parts)
    np.testing.assert_array_equal(total, 1)


def test_beyond_the_image_is_cut_off_however_far() -> None:
    far = np.array([[-1e7, -1e7], [1e7, -1e7], [1e7, 5], [-1e7, 5], [-1e7, -1e7]])
    mask = rasterize([Polygon((far,))], (8, 6))
    assert mask[:5].all()
    assert not mask[5:].any()
    assert not rasterize([Polygon((np.array(SQUARE, float) + 100,))], (8, 6)).any()


@needs_nuclei
@pytest.mark.parametrize("name", ["tnbc/1022", "dsb2018/0bf33d3d"])
def test_outlines_of_real_nuclei_give_their_masks_back(name: str) -> None:
    labels = instances(name)
    for number in np.unique(labels[labels > 0])[:40]:
        mask = labels == number
        polygons = region_of(mask).polygons
        np.testing.assert_array_equal(rasterize(polygons, mask.shape), mask)
        np.testing.assert_array_equal(by_shapely(polygons, mask.shape), mask)
    whole = rasterize(region_of(labels).polygons, labels.shape)
    np.testing.assert_array_equal(whole, labels > 0)


def test_repaired_outlines_cover_what_one_sees() -> None:
    hole_sticks_out = [[6, 4], [14, 4], [14, 8], [6, 8], [6, 4]]
    polygons, repairs = polygons_of([[np.array(SQUARE, float), np.array(hole_sticks_out, float)]])
    assert repairs == {"crossing"}
    mask = rasterize(polygons, (16, 16))
    assert mask.sum() == 64 - 4 * 4
    assert not mask[:, 10:].any(), "a hole is never filled"
