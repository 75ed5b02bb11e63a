"""Shapes for the tests of annotations, drawn by hand and from masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from numpy.typing import NDArray

from analyzer_service.annotations import Polygon, Region

SHARED_DATA = Path(__file__).parents[3] / ".." / "shared" / "data"
NUCLEI = SHARED_DATA / "nuclei"

needs_nuclei = pytest.mark.skipif(not NUCLEI.exists(), reason="real nuclei are not here")

SQUARE = [[2, 2], [10, 2], [10, 10], [2, 10], [2, 2]]
HOLE = [[4, 4], [8, 4], [8, 8], [4, 8], [4, 4]]
BOW = [[0, 0], [8, 8], [8, 0], [0, 8], [0, 0]]


def feature(*rings: list, label: str | None = "nucleus", **properties: object) -> dict:
    """A feature as QuPath writes it."""
    classification = {} if label is None else {"classification": {"name": label}}
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": list(rings)},
        "properties": {"objectType": "annotation", **classification, **properties},
    }


def collection(*features: dict) -> dict:
    return {"type": "FeatureCollection", "features": list(features)}


def region_of(mask: NDArray, *, label: str = "nucleus", left: float = 0, top: float = 0) -> Region:
    """The outline along the edges of a mask's pixels, holes too: runs of pixels, united."""
    runs = []
    for row, line in enumerate(np.pad(mask != 0, ((0, 0), (1, 1)))):
        steps = np.flatnonzero(np.diff(line.astype(int)))
        runs += [(a, row, b, row + 1) for a, b in zip(steps[::2], steps[1::2], strict=True)]
    boxes = np.array(runs, dtype=float) + np.array((left, top, left, top))
    shape = shapely.union_all(shapely.box(*boxes.T))
    return Region(
        tuple(
            Polygon(tuple(np.asarray(r.coords) for r in (part.exterior, *part.interiors)))
            for part in shapely.get_parts(shape)
        ),
        label=label,
    )


def by_shapely(polygons: tuple[Polygon, ...], shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Pixel centers that lie inside, one by one."""
    rows, cols = np.mgrid[: shape[0], : shape[1]] + 0.5
    inside = np.zeros(shape, dtype=bool)
    for polygon in polygons:
        area = shapely.Polygon(polygon.rings[0], polygon.rings[1:])
        inside |= shapely.contains_xy(area, cols, rows)
    return inside


def instances(name: str) -> NDArray[np.uint16]:
    """Instance labels of a real image of nuclei."""
    labels = cv2.imread(str(NUCLEI / f"{name}_labels.png"), cv2.IMREAD_UNCHANGED)
    assert labels is not None
    return np.asarray(labels, dtype=np.uint16)
