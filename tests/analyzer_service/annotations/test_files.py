"""Files in, regions out: both formats, what is repaired, what is left out, what is said."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely.errors import GEOSException

from analyzer_service.annotations import (
    FAULTS,
    AnnotationFile,
    Polygon,
    Region,
    rasterize,
    read_annotations,
    write_geojson,
    write_web_annotations,
)
from analyzer_service.annotations import files as annotation_files
from tests.analyzer_service.annotations.drawing import BOW, HOLE, SQUARE, collection, feature


def read(folder: Path, content: Any) -> AnnotationFile:
    path = folder / "tile.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_annotations(path)


def kinds(found: AnnotationFile) -> list[str]:
    assert {fault.kind for fault in found.faults} <= FAULTS.keys()
    return [fault.kind for fault in found.faults]


def area(found: AnnotationFile) -> int:
    return sum(int(rasterize(region.polygons, (16, 16)).sum()) for region in found.regions)


@pytest.mark.parametrize("wrap", [lambda f: collection(f), lambda f: [f], lambda f: f])
def test_what_qupath_writes(wrap: Any, tmp_path: Path) -> None:
    properties: dict[str, Any] = {"isLocked": True, "measurements": {"Area": 48.0, "bad": "NaN"}}
    one = feature(SQUARE, HOLE, **properties)
    one["id"] = "4f9c2f0e-9d3f-4b8e-8b53-5f2b1a1d7c11"
    one["properties"]["classification"]["color"] = [200, 0, 0]
    found = read(tmp_path, wrap(one))
    (region,) = found.regions
    assert found.usable
    assert found.faults == ()
    assert (region.label, region.color, region.locked) == ("nucleus", (200, 0, 0), True)
    assert region.measurements == {"Area": 48.0}
    assert region.bounds == (2, 2, 10, 10)
    assert area(found) == 64 - 16


def test_several_areas_and_older_spellings(tmp_path: Path) -> None:
    one = feature(label=None)
    one["geometry"] = {"type": "MultiPolygon", "coordinates": [[SQUARE, HOLE], [HOLE]]}
    one["properties"]["classification"] = {"names": ["Tumor", "Positive"], "color": "red"}
    one["properties"]["measurements"] = [{"name": "Area", "value": 1}, {"name": "x"}, 3]
    one["properties"]["objectType"] = "cell"
    found = read(tmp_path, one)
    (region,) = found.regions
    assert (region.label, region.color, region.object_type) == ("Tumor: Positive", None, "cell")
    assert region.measurements == {"Area": 1.0}
    assert area(found) == 64


@pytest.mark.parametrize(
    ("rings", "kind", "pixels"),
    [
        ([BOW], "crossing", 12 + 20),  # two triangles; centers on outlines go to the right one
        ([SQUARE[:-1]], "open", 64),
        ([[[0, 0], [4, 4], [8, 8], [0, 0]]], "no_area", 0),
        ([[[1, 1]] * 5], "no_area", 0),
        ([[[1, 1], [5, 1], [1, 1], [5, 1], [1, 1]]], "no_area", 0),
        ([[]], "no_area", 0),
        ([], "no_area", 0),
    ],
)
def test_outlines_that_are_not_sound(rings: list, kind: str, pixels: int, tmp_path: Path) -> None:
    found = read(tmp_path, feature(*rings))
    assert kinds(found) == [kind]
    assert area(found) == pixels
    assert found.usable == (pixels > 0), "a file of which nothing can be used says nothing"


def test_an_outline_beyond_repair_does_not_cost_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise GEOSException("TopologyException: side location conflict")

    monkeypatch.setattr("shapely.make_valid", fail)
    found = read(tmp_path, collection(feature(BOW), feature(SQUARE)))
    assert kinds(found) == ["unreadable"]
    assert area(found) == 64


@pytest.mark.parametrize("kind", ["Point", "MultiPoint", "LineString", "MultiLineString"])
def test_points_and_lines_are_counted_and_left_out(kind: str, tmp_path: Path) -> None:
    point = {"type": "Feature", "geometry": {"type": kind, "coordinates": [1, 2]}}
    found = read(tmp_path, collection(point, feature(SQUARE)))
    assert kinds(found) == ["no_area"]
    assert found.faults[0].where == "tile.geojson, item 1"
    assert area(found) == 64


@pytest.mark.parametrize(
    "bad",
    [
        7,
        {"type": "Feature", "geometry": {"type": "Circle"}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[1]]]}},
        {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[["1", "2"]] * 4]}},
        feature([[0, 0], [1e9, 0], [1e9, 1e9], [0, 0]]),
        feature([[0, 0], [float("nan"), 0], [3, 3], [0, 0]]),
        feature(SQUARE, classification=7),
        {"type": "Annotation"},
    ],
)
def test_one_bad_annotation_does_not_cost_the_others(bad: Any, tmp_path: Path) -> None:
    found = read(tmp_path, [feature(SQUARE), bad, feature(HOLE)])
    assert kinds(found) == ["unreadable"]
    assert found.faults[0].where == "tile.geojson, item 2"
    assert found.faults[0].what
    assert len(found.regions) == 2


def test_classes_and_types_as_qupath_wrote_them_before(tmp_path: Path) -> None:
    """QuPath 0.2 and 0.3: a derived class inside of which is the general one, `object_type`."""
    one = feature(SQUARE)
    one["properties"] = {
        "object_type": "detection",
        "classification": {
            "parentClass": {"name": "Tumor", "colorRGB": -3670016},
            "name": "Positive",
            "colorRGB": -377282,
        },
    }
    found = read(tmp_path, one)
    assert found.faults == ()
    assert (found.regions[0].label, found.regions[0].object_type) == (
        "Tumor: Positive",
        "detection",
    )


def test_objects_inside_of_others_are_read_too(tmp_path: Path) -> None:
    """QuPath writes its hierarchy so, where it is asked to."""
    cell = feature(HOLE, label="cell") | {"nucleusGeometry": {"type": "Point"}}
    outer = feature(SQUARE, childObjects=[feature(HOLE, childObjects=[cell, 5])])
    found = read(tmp_path, collection(outer, feature(BOW)))
    assert [region.label for region in found.regions] == ["nucleus", "nucleus", "cell", "nucleus"]
    assert [(fault.kind, fault.where) for fault in found.faults] == [
        ("unreadable", "tile.geojson, item 1.1.2"),
        ("crossing", "tile.geojson, item 2"),
    ]


def test_a_collection_of_geometries_is_named(tmp_path: Path) -> None:
    several = {"type": "GeometryCollection", "geometries": [feature(SQUARE)["geometry"]]}
    found = read(tmp_path, [feature(SQUARE) | {"geometry": several}])
    assert "'GeometryCollection' is not read" in found.faults[0].what
    assert not found.usable


def test_measurements_that_are_not_finite_cost_nothing(tmp_path: Path) -> None:
    """QuPath writes NaN and Infinity, which is no JSON."""
    text = json.dumps(feature(SQUARE, measurements={"a": float("nan"), "b": -1e999, "c": 2}))
    assert "NaN" in text
    found = read(tmp_path, text)
    assert found.faults == ()
    assert found.regions[0].measurements == {"c": 2}


def test_no_class_is_a_class_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, feature(SQUARE, label=None))
    assert kinds(found) == ["unclassified"]
    assert found.regions[0].label == "unclassified"


@pytest.mark.parametrize(
    "content",
    ["", "{", "\x00\x01", "[" * 100_000, "3", "{}", '{"type": "FeatureCollection"}', '"text"'],
)
def test_files_that_are_none(content: str, tmp_path: Path) -> None:
    found = read(tmp_path, content)
    assert not found.usable
    assert kinds(found) == ["not_annotations"]
    assert found.regions == ()


def test_files_that_are_not_there_or_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kinds(read_annotations(tmp_path / "none.geojson")) == ["not_annotations"]
    os.mkfifo(tmp_path / "pipe.geojson")  # nobody writes into it: opening it would wait for ever
    assert read_annotations(tmp_path / "pipe.geojson").faults[0].what == "no regular file"
    monkeypatch.setattr(annotation_files, "LARGEST_FILE", 10)
    assert "larger than" in read(tmp_path, collection(feature(SQUARE))).faults[0].what


def test_nothing_marked_is_an_annotation_and_a_file_to_do_is_none(tmp_path: Path) -> None:
    assert read(tmp_path, collection()).usable
    assert read(tmp_path, []).usable
    to_do = read(tmp_path, collection() | {annotation_files.TO_DO: {"tile": "a"}})
    assert not to_do.usable
    assert kinds(to_do) == ["untouched"]


def annotation(selector: Any, body: Any = "nucleus") -> dict[str, Any]:
    return {
        "@context": "http://www.w3.org/ns/anno.jsonld",
        "id": "#1",
        "type": "Annotation",
        "body": body,
        "target": {"source": "tile.png", "selector": selector},
    }


def svg(shape: str) -> dict[str, str]:
    return {"type": "SvgSelector", "value": f"<svg>{shape}</svg>"}


@pytest.mark.parametrize(
    ("selector", "pixels"),
    [
        (svg('<polygon points="2,2 10,2 10,10 2,10"/>'), 64),
        (svg('<g><polygon points="2 2, 10 2, 10 10, 2 10"></polygon></g>'), 64),
        (svg('<path d="M2 2L10 2L10 10L2 10Z M4,4 8,4 8,8 4,8 z"/>'), 48),
        (svg('<path d="m 2,2 h 8 v 8 h -8 z m 2 2 h4v4h-4z"/>'), 48),
        (svg('<path d="M2 2H1e1V10H2Z"/>'), 64),
        (svg('<rect x="2" y="2" width="8" height="8"/>'), 64),
        ({"type": "FragmentSelector", "value": "xywh=pixel:2,2,8,8"}, 64),
        ({"type": "FragmentSelector", "value": "xywh=2,2,8,8.0"}, 64),
        ([{"type": "FragmentSelector", "value": "xywh=pixel:2,2,8,8"}], 64),
    ],
)
def test_selectors_of_web_annotations(selector: Any, pixels: int, tmp_path: Path) -> None:
    found = read(tmp_path, annotation(selector))
    assert found.faults == ()
    assert found.regions[0].label == "nucleus"
    assert area(found) == pixels


@pytest.mark.parametrize(
    ("selector", "said"),
    [
        (svg('<circle cx="1" cy="1" r="3"/>'), "<circle> is not read"),
        (svg('<path d="M0 0 C 1 1 2 2 3 3 Z"/>'), "'C' is not read"),
        (svg('<path d="M0 0 L 1"/>'), "lacks numbers"),
        (svg('<path d="M0 0 L one 2"/>'), "lacks numbers"),
        (svg('<path d="M0 0 L 1 # 2"/>'), "'#' is no number"),
        (svg('<polygon points="0,0 1,1 2"/>'), "odd number"),
        (svg('<polygon points="0,0 1e9,0 1e9,1e9"/>'), "beyond 1e+07"),
        (svg('<polygon points="0,0 1e999,0 4,4"/>'), "beyond 1e+07"),
        (svg('<g transform="scale(2)"><polygon points="0,0 1,0 1,1"/></g>'), "transformations"),
        (svg('<rect x="a" width="3" height="3"/>'), "'a' is no number"),
        (svg("<polygon"), "not XML"),
        ({"type": "SvgSelector", "value": "<!DOCTYPE a><svg/>"}, "declarations"),
        ({"type": "FragmentSelector", "value": "xywh=percent:1,2,3,4"}, "xywh=pixel:x,y,w,h"),
        ({"type": "FragmentSelector", "value": "xywh=nan,2,3,4"}, "xywh=pixel:x,y,w,h"),
        ({"type": "TextQuoteSelector", "exact": "a"}, "SvgSelector"),
        ([], "no selector"),
    ],
)
def test_selectors_that_are_not_read(selector: Any, said: str, tmp_path: Path) -> None:
    found = read(tmp_path, [annotation(selector), feature(SQUARE)])
    assert kinds(found) == ["unreadable"]
    assert said in found.faults[0].what
    assert area(found) == 64


@pytest.mark.parametrize(
    ("body", "label"),
    [
        ({"value": "tumor"}, "tumor"),
        ([{"purpose": "commenting", "value": "?"}, {"purpose": "tagging", "value": "a"}], "a"),
        ([{"purpose": "commenting", "value": "?"}], "?"),
        ([{"purpose": ["classifying"], "value": "b"}], "b"),
        ([], "unclassified"),
        (None, "unclassified"),
    ],
)
def test_the_class_of_a_web_annotation(body: Any, label: str, tmp_path: Path) -> None:
    found = read(tmp_path, annotation(svg('<polygon points="2,2 10,2 10,10 2,10"/>'), body))
    assert found.regions[0].label == label


def sample_regions() -> list[Region]:
    square, hole = np.array(SQUARE, float) + 0.1, np.array(HOLE, float)
    return [
        Region((Polygon((square, hole)),), label="tumor", color=(1, 2, 3), locked=True),
        Region((Polygon((hole,)), Polygon((hole + 6,))), label="tumor"),
        Region((Polygon((hole,)),), measurements={"Area": 16.0}, object_type="detection"),
    ]


def test_geojson_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "out.geojson"
    write_geojson(path, sample_regions())
    found = read_annotations(path)
    assert kinds(found) == ["unclassified"]
    for region, back in zip(sample_regions(), found.regions, strict=True):
        for name in ("label", "color", "object_type", "locked", "measurements", "bounds"):
            assert getattr(back, name) == getattr(region, name)
        for polygon, read_back in zip(region.polygons, back.polygons, strict=True):
            for ring, again in zip(polygon.rings, read_back.rings, strict=True):
                np.testing.assert_array_equal(again, ring)


def test_web_annotations_come_back_as_the_same_areas(tmp_path: Path) -> None:
    path = tmp_path / "out.jsonld"
    write_web_annotations(path, sample_regions(), source="tile.png")
    assert json.loads(path.read_text())["items"][0]["target"]["source"] == "tile.png"
    found = read_annotations(path)
    for region, back in zip(sample_regions(), found.regions, strict=True):
        assert (back.label, back.bounds) == (region.label, region.bounds)
        masks = [rasterize(r.polygons, (20, 20)) for r in (region, back)]
        np.testing.assert_array_equal(*masks)
