"""Live agreement: the numbers of the validation report, by that report."""

import io
import json
import math
import zipfile
from typing import Any

import numpy as np
import pytest

from analyzer_service import generate_clinical_validation_report
from analyzer_service.clinical.validating import validate_run
from tests.analyzer_service.annotations.drawing import SQUARE, collection
from tests.analyzer_service.annotations.drawing import feature as qupath_feature
from tests.analyzer_service.page.annotating.drawing import Drawing, a_feature, put

SHOWN = {"op": "shown", "what": "attention", "layer": "bam_384"}
OTHER = [[5, 5], [20, 6], [18, 21], [5, 5]]


def say(field: str, value: Any) -> dict[str, Any]:
    return {"op": "record", "field": field, "value": value}


def test_blind_stays_blind(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    found = drawing.get(f"tiles/{tile}/agreement", reader="anna").json()
    assert found == {"attention": None, "readers": []}


def test_it_says_what_the_report_says(drawing: Drawing) -> None:
    """Of three readers, a class that one of them never marks, a skipped tile, and an empty one."""
    one, two, three = drawing.names
    for tile in drawing.names:
        drawing.post(tile, SHOWN)
    drawing.post(one, put(), put(OTHER, label="stroma"))
    drawing.post(one, put(OTHER), reader="ben")
    drawing.post(one, put(OTHER), say("skip_reason", "blurred"), reader="carl")
    drawing.post(two, say("nothing", True))
    drawing.post(two, put(), put(OTHER, label="stroma"), reader="ben")
    drawing.post(three, put(OTHER, label="stroma"), reader="carl")
    readers = ["anna", "ben", "carl"]
    report = validate_run(drawing.folder, drawing.folder / "annotations", readers=readers)
    assert report.kept == 3
    for tile in report.tiles:
        name = drawing.names[drawing.samples.index(tile.sample)]
        live = drawing.get(f"tiles/{name}/agreement", reader="anna", others="true").json()
        assert rows(live["attention"]) == {
            (pair.layer, pair.label): tuple(
                pair.scores[key] for key in ("area_matched_iou", "half_maximum_recall", "auc")
            )
            for pair in tile.pairs
            if pair.reader == "anna" and pair.annotated
        }
        expected = {
            (*found.between, found.label): [found.values[key] for key in ("iou", "dice", "nsd")]
            for found in tile.agreements
            if found.between
        }
        pairs = {
            (*sorted(row["between"]), row["label"]): [row["iou"], row["dice"], row["nsd"]]
            for row in live["readers"]
        }
        assert {key: list(map(nan, values)) for key, values in expected.items()} == pairs
    skipped = [fault for fault in report.faults if fault.kind == "skipped"]
    assert [fault.where for fault in skipped] == [f"carl/{one}.geojson"]


def nan(value: float) -> float | None:
    return None if math.isnan(value) else value


def rows(attention: list[dict[str, Any]]) -> dict[tuple[str, str], tuple[float, ...]]:
    return {
        (row["layer"], row["label"]): (
            row["area_matched"]["iou"],
            row["half_maximum"]["recall"],
            row["auc"],
        )
        for row in attention
    }


def test_between_readers_by_counting_pixels(drawing: Drawing) -> None:
    """Squares of 8 x 8 pixels, shifted by 2 columns: 48 of 64 pixels in common."""
    tile = drawing.names[0]
    shifted = [[x + 2, y] for x, y in SQUARE]
    drawing.post(tile, put())
    drawing.post(tile, put(shifted), reader="ben")
    live = drawing.get(f"tiles/{tile}/agreement", reader="anna", others="true").json()
    (row,) = live["readers"]
    assert row["between"] == ["anna", "ben"]
    assert (row["precision"], row["recall"], row["iou"]) == (0.75, 0.75, 48 / 80)
    assert row["dice"] == row["f1"] == 0.75


def test_the_report_knows_the_pages_readers(drawing: Drawing) -> None:
    for reader in ("anna", "Dr. Müller"):
        drawing.post(drawing.names[0], put(), reader=reader)
    report = generate_clinical_validation_report(drawing.folder)
    (pair,) = [row for row in report.content["agreement"] if row["readers"]]
    assert sorted(pair["readers"]) == ["Dr. Müller", "anna"]
    assert pair["scores"]["dice"]["mean"] == 1.0


def test_classes_alone_are_no_annotations(drawing: Drawing) -> None:
    """The page's own files in the folder do not keep the report from saying: nothing yet."""
    body = {"classes": [{"name": "mitosis", "color": [1, 2, 3]}]}
    drawing.client.put("/api/runs/demo/annotations/classes", json=body)
    report = generate_clinical_validation_report(drawing.folder)
    assert report.content["run"]["tiles_annotated"] == 0


def test_import_adds_and_says_what_it_left_out(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    line = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}
    whole = qupath_feature(OTHER, label="stroma", measurements={"area": 3.0})
    content = collection(whole, line, a_feature({"type": "Point", "coordinates": [1, 2]}))
    url = f"/api/runs/demo/annotations/tiles/{tile}/import?reader=anna"
    found = drawing.client.post(url, json=content).json()
    assert (found["imported"], len(found["features"])) == (2, 3)
    assert found["faults"] == ["item 2: LineString: draw a polygon or set a point"]
    stamps = [each["properties"]["sidelight"]["tool"] for each in found["features"]]
    assert stamps == ["polygon", "import", "import"]
    assert found["features"][1]["properties"]["measurements"] == {"area": 3.0}
    again = drawing.client.post(url, json=content).json()
    assert (again["imported"], again["revision"]) == (0, found["revision"])
    exported = drawing.get("export", reader="anna", tile=tile)
    assert 'filename="' in exported.headers["content-disposition"]
    back = drawing.client.post(url.replace("anna", "ben"), content=exported.content).json()
    assert [each["geometry"] for each in back["features"]] == [
        each["geometry"] for each in found["features"]
    ]


def test_coordinates_of_a_whole_image_are_not_imported(drawing: Drawing) -> None:
    tile = drawing.names[0]
    far = collection(qupath_feature([[x + 5000, y] for x, y in SQUARE]))
    url = f"/api/runs/demo/annotations/tiles/{tile}/import?reader=anna"
    refused = drawing.client.post(url, json=far)
    assert refused.status_code == 422
    assert "whole image" in refused.json()["error"]
    assert drawing.marks(tile)["revision"] == 0


def test_web_annotations_are_imported(drawing: Drawing) -> None:
    annotation = {
        "type": "Annotation",
        "body": {"purpose": "tagging", "value": "tumor"},
        "target": {"selector": {"type": "FragmentSelector", "value": "xywh=pixel:1,2,3,4"}},
    }
    url = f"/api/runs/demo/annotations/tiles/{drawing.names[0]}/import?reader=anna"
    found = drawing.client.post(url, json=annotation).json()
    ring = np.array(found["features"][0]["geometry"]["coordinates"][0])
    assert (*ring.min(axis=0), *ring.max(axis=0)) == (1, 2, 4, 6)


@pytest.mark.parametrize("content", ["{}", "3", '"x"', "no", '{"type": "Topology"}'])
def test_what_is_no_annotations_is_not_imported(drawing: Drawing, content: str) -> None:
    url = f"/api/runs/demo/annotations/tiles/{drawing.names[0]}/import?reader=anna"
    assert drawing.client.post(url, content=content).status_code == 422


def test_all_of_a_reader_is_exported_as_a_zip(drawing: Drawing) -> None:
    for tile in drawing.names[:2]:
        drawing.post(tile, put(), reader="Dr. Müller")
    exported = drawing.get("export", reader="Dr. Müller")
    with zipfile.ZipFile(io.BytesIO(exported.content)) as packed:
        assert packed.testzip() is None
        names = sorted(f"{tile}.geojson" for tile in drawing.names[:2])
        assert sorted(packed.namelist()) == sorted([*names, "audit.jsonl"])
        assert len(json.loads(packed.read(names[0]))["features"]) == 1
