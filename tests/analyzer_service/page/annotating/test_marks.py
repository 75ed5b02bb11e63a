"""Marks of a tile: what the browser sends, what it gets back, what the file says."""

import io
import json
import shutil
import struct
from typing import Any

import numpy as np
import pytest
from PIL import Image

from analyzer_service import create_pathologist_annotation_interface
from analyzer_service.annotations import read_annotations
from tests.analyzer_service.annotations.drawing import BOW, HOLE, SQUARE
from tests.analyzer_service.clinical.runs import TileRun
from tests.analyzer_service.page.annotating.drawing import Drawing, a_feature, put


def record(field: str, value: Any) -> dict[str, Any]:
    return {"op": "record", "field": field, "value": value}


SHOWN = {"op": "shown", "what": "attention", "layer": "bam_384"}


def test_a_tile_that_nobody_opened_has_no_file(drawing: Drawing) -> None:
    tile = drawing.names[0]
    found = drawing.marks(tile)
    assert (found["revision"], found["features"]) == (0, [])
    assert found["record"] == {
        "confidence": None,
        "comment": "",
        "skip_reason": None,
        "nothing": False,
        "attention_shown_at": None,
        "others_shown_at": None,
    }
    assert not (drawing.folder / "annotations").exists()


def test_what_is_drawn_is_in_the_file_as_qupath_reads_it(drawing: Drawing) -> None:
    tile = drawing.names[0]
    answered = drawing.post(tile, put(SQUARE, HOLE)).json()
    assert answered["revision"] == 1
    (feature,) = answered["features"]
    stored = json.loads(drawing.path(tile).read_text())
    assert stored["type"] == "FeatureCollection"
    assert stored["features"] == [feature]
    assert feature["properties"]["objectType"] == "annotation"
    assert feature["properties"]["classification"] == {"name": "tumor", "color": [213, 94, 0]}
    assert feature["properties"]["isLocked"] is False
    (region,) = read_annotations(drawing.path(tile)).regions
    assert region.label == "tumor"
    assert [ring.tolist() for ring in region.polygons[0].rings] == [SQUARE, HOLE]
    assert drawing.marks(tile)["features"] == [feature]


def test_the_same_operation_twice_is_applied_once(drawing: Drawing) -> None:
    tile, one = drawing.names[0], put() | {"op_id": "1"}
    first = drawing.post(tile, one).json()
    drawing.post(tile, {"op": "delete", "id": one["feature"]["id"]})
    again = drawing.post(tile, one).json()
    assert first["revision"] == 1
    assert (again["revision"], again["features"]) == (2, [])


def test_all_operations_of_a_request_or_none(drawing: Drawing) -> None:
    tile = drawing.names[0]
    line = a_feature({"type": "LineString", "coordinates": [[0, 0], [1, 1]]})
    refused = drawing.post(tile, put(), {"op": "put", "feature": line})
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("ops.1 (put): LineString")
    assert drawing.marks(tile)["revision"] == 0


@pytest.mark.parametrize(
    ("geometry", "said"),
    [
        ({"type": "Polygon", "coordinates": [[[0, 0], [1, 1], [0, 0]]]}, "encloses nothing"),
        ({"type": "Polygon", "coordinates": []}, "encloses nothing"),
        ({"type": "Point", "coordinates": [1e9, 0]}, "a point is two numbers"),
        ({"type": "Polygon", "coordinates": [[[0, 0]] * 100_001]}, "more than 100,000 vertices"),
        (None, "without a geometry"),
    ],
)
def test_what_has_no_place_is_refused(drawing: Drawing, geometry: Any, said: str) -> None:
    refused = drawing.post(drawing.names[0], {"op": "put", "feature": a_feature(geometry)})
    assert refused.status_code == 422
    assert said in refused.json()["error"]


def test_what_crosses_itself_is_repaired(drawing: Drawing) -> None:
    (feature,) = drawing.post(drawing.names[0], put(BOW)).json()["features"]
    assert feature["geometry"]["type"] == "MultiPolygon"
    assert len(feature["geometry"]["coordinates"]) == 2


def test_points_are_kept_and_not_scored(drawing: Drawing) -> None:
    tile = drawing.names[0]
    point = a_feature({"type": "Point", "coordinates": [3.5, 4]})
    answered = drawing.post(tile, {"op": "put", "feature": point}).json()
    assert answered["features"][0]["geometry"] == {"type": "Point", "coordinates": [3.5, 4.0]}
    file = read_annotations(drawing.path(tile))
    assert (file.usable, [fault.kind for fault in file.faults]) == (False, ["no_area"])


def test_marks_say_what_had_been_shown_by_then(drawing: Drawing) -> None:
    tile = drawing.names[0]
    blind = put(tool="freehand")
    before = drawing.post(tile, blind).json()
    after = drawing.post(tile, SHOWN, put()).json()
    stamps = [feature["properties"]["sidelight"] for feature in after["features"]]
    assert [stamp["attention_shown"] for stamp in stamps] == [False, True]
    assert [stamp["tool"] for stamp in stamps] == ["freehand", "polygon"]
    assert before["record"]["attention_shown_at"] is None
    assert after["record"]["attention_shown_at"] == stamps[1]["changed_at"]
    again = drawing.post(tile, SHOWN).json()
    assert again["record"] == after["record"]
    edited = drawing.post(tile, put(id_=blind["feature"]["id"])).json()["features"][0]
    assert edited["properties"]["sidelight"]["attention_shown"] is True
    assert edited["properties"]["sidelight"]["created_at"] == stamps[0]["created_at"]


def test_looked_at_is_not_yet_nothing_there(drawing: Drawing) -> None:
    """By `read_annotations`: only who says so has seen that there is nothing."""
    tile = drawing.names[0]
    drawing.post(tile, SHOWN)
    assert [fault.kind for fault in read_annotations(drawing.path(tile)).faults] == ["untouched"]
    drawing.post(tile, record("nothing", True))
    assert read_annotations(drawing.path(tile)).usable
    drawing.post(tile, record("skip_reason", "blurred"))
    skipped = read_annotations(drawing.path(tile))
    assert [(fault.kind, fault.what) for fault in skipped.faults] == [("skipped", "blurred")]
    drawing.post(tile, record("skip_reason", None), put())
    assert read_annotations(drawing.path(tile)).usable


def test_nothing_and_marks_exclude_each_other(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, record("nothing", True))
    marked = drawing.post(tile, put()).json()
    assert marked["record"]["nothing"] is False
    assert drawing.post(tile, record("nothing", True)).status_code == 422


def test_the_overview_says_how_far_the_reader_is(drawing: Drawing) -> None:
    one, other, third = (tile["tile"] for tile in drawing.get("overview").json()["tiles"])
    drawing.post(one, put(), put(label="stroma"))
    drawing.post(other, record("skip_reason", "out of focus"))
    drawing.post(third, record("nothing", True), reader="Ben")
    found = drawing.get("overview", reader="anna").json()
    assert [(tile["status"], tile["regions"], tile["revision"]) for tile in found["tiles"]] == [
        ("marked", 2, 1),
        ("skipped", 0, 1),
        ("open", 0, 0),
    ]
    assert found["readers"] == [{"name": "Ben", "tiles_done": 1}, {"name": "anna", "tiles_done": 2}]
    assert {(tile["width"], tile["height"]) for tile in found["tiles"]} == {(32, 32)}
    assert [each["name"] for each in found["classes"]][:2] == ["tumor", "stroma"]


def test_others_are_seen_only_after_that_is_on_record(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put(), reader="ben")
    own = drawing.post(tile, put()).json()
    assert "others" not in drawing.marks(tile)
    found = drawing.marks(tile, others="true")
    assert [other["reader"] for other in found["others"]] == ["ben"]
    assert found["record"]["others_shown_at"] is not None
    assert found["revision"] == own["revision"] + 1
    assert drawing.marks(tile, others="true")["revision"] == found["revision"]
    stamped = drawing.post(tile, put()).json()["features"][1]["properties"]["sidelight"]
    assert stamped["others_shown"] is True
    elsewhere = drawing.client.get(
        f"/api/runs/demo/annotations/tiles/{tile}/marks?reader=anna&others=true",
        headers={"sec-fetch-site": "cross-site"},
    )
    assert elsewhere.status_code == 403


def test_the_input_and_the_maps(drawing: Drawing) -> None:
    tile = drawing.names[1]
    image = Image.open(io.BytesIO(drawing.get(f"tiles/{tile}/input.png").content))
    assert (np.asarray(image) == 200).all()
    body = drawing.get(f"tiles/{tile}/maps").content
    (length,) = struct.unpack("<I", body[:4])
    facts = json.loads(body[4 : 4 + length])
    assert [layer["name"] for layer in facts["layers"]] == ["bam_384", "bam_16"]
    assert [place["shape"] for place in facts["arrays"]] == [[8, 8], [8, 8]]
    maps = np.frombuffer(body[4 + length :], "<f4").reshape(2, 8, 8)
    np.testing.assert_allclose(maps.sum(axis=0), 1, rtol=1e-6)
    assert drawing.get("tiles/other/maps").status_code == 404


def test_preparing_tasks_again_leaves_what_was_said_of_a_tile(drawing: Drawing) -> None:
    create_pathologist_annotation_interface(drawing.folder, readers=["anna"])
    tile = drawing.get("overview").json()["tiles"][0]["tile"]
    assert drawing.marks(tile)["revision"] == 0
    said = drawing.post(tile, SHOWN, record("comment", "unsure")).json()
    create_pathologist_annotation_interface(drawing.folder, readers=["anna"])
    again = drawing.marks(tile)
    assert (again["record"], again["revision"]) == (said["record"], said["revision"])


def test_a_run_in_the_place_of_another_has_the_size_of_its_own_tiles(drawing: Drawing) -> None:
    assert drawing.get("overview").json()["tiles"][0]["height"] == 32
    shutil.rmtree(drawing.folder)
    other = TileRun(drawing.folder)
    images = np.zeros((3, 48, 48, 3), np.uint8)
    gates = {"bam_384": np.full((3, 6, 6), 0.5, np.float32)}
    other.keep(drawing.samples, gates, images=images, reconstruction=images)
    other.close()
    overview = drawing.get("overview").json()
    assert [(tile["height"], tile["width"]) for tile in overview["tiles"]] == [(48, 48)] * 3
