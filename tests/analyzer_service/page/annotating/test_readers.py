"""Readers' names never become paths, and no two of them share a folder."""

import json
import os
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analyzer_service.clinical.matching import match
from analyzer_service.commit.kept_tiles import kept_tiles
from tests.analyzer_service.page.annotating.drawing import Drawing, put

NAMES = [
    *("anna", "Anna", "ANNA", "../../etc", "..", ".", "a/b", "a\\b", "CON", "con.txt", "nul"),
    *("Dr. Müller", "Dr. Muller", "\N{MICROSCOPE}", "\N{DNA DOUBLE HELIX}", "李医生", "x" * 80),
    *("consensus", "Consensus", "tasks.json", ".lock", "annotation", "-rf", "a b", "a_b", "$(id)"),
    *("<script>alert(1)</script>", "anna-0123456789abcdef", "%2e%2e%2f", "C:\\x", "a:b", "*"),
]


def test_every_name_has_a_folder_of_its_own(drawing: Drawing) -> None:
    tile, annotations = drawing.names[0], drawing.folder / "annotations"
    for name in NAMES:
        answered = drawing.post(tile, put(label=f"of {name}"), reader=name)
        assert answered.status_code == 200, (name, answered.text)
    for name in NAMES:
        (feature,) = drawing.marks(tile, reader=name)["features"]
        assert feature["properties"]["classification"]["name"] == f"of {name}"
    folders = [entry.name for entry in annotations.iterdir() if entry.is_dir()]
    assert len(folders) == len({name.casefold() for name in folders}) == len(NAMES)
    assert all(name.isascii() and "/" not in name and not name.startswith(".") for name in folders)
    assert {entry.name for entry in drawing.folder.parent.iterdir()} == {drawing.folder.name}
    found = drawing.get("overview").json()["readers"]
    assert sorted(each["name"] for each in found) == sorted(NAMES)


def test_validate_finds_readers_by_their_names(drawing: Drawing) -> None:
    names = ["Dr. Müller", "anna", "Anna"]
    for name in names:
        drawing.post(drawing.names[0], put(label=name), reader=name)
    readings = match(drawing.folder / "annotations", kept_tiles(drawing.folder), readers=names)
    assert readings.labels == {name: [name] for name in names}
    assert readings.faults == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "x" * 300, "a\nb", "a\0b", "\x1b[0m"])
def test_what_is_no_name_is_refused(drawing: Drawing, name: str) -> None:
    refused = drawing.post(drawing.names[0], put(), reader=name)
    assert refused.status_code == 422
    assert "reader's name" in refused.json()["error"]
    assert not (drawing.folder / "annotations").exists()


def test_one_name_written_in_two_ways_is_one_reader(drawing: Drawing) -> None:
    """Composed or not, as of Unicode's canonical equivalence."""
    drawing.post(drawing.names[0], put(), reader="Mu\u0308ller")
    assert len(drawing.marks(drawing.names[0], reader="M\u00fcller ")["features"]) == 1


def test_a_folder_of_the_task_list_is_its_readers(drawing: Drawing) -> None:
    (drawing.folder / "annotations" / "Ben").mkdir(parents=True)
    drawing.post(drawing.names[0], put(), reader="Ben")
    drawing.post(drawing.names[0], put(), reader="ben")
    assert drawing.path(drawing.names[0], "Ben").is_file()
    assert not drawing.path(drawing.names[0], "ben").exists()


@pytest.mark.parametrize("place", ["annotations", "annotations/anna"])
def test_a_folder_that_is_a_link_is_not_followed(
    drawing: Drawing, tmp_path_factory: pytest.TempPathFactory, place: str
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / f"{drawing.names[0]}.geojson").write_text('{"type": "FeatureCollection"}')
    link = drawing.folder / place
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(outside)
    before = sorted(outside.rglob("*"))
    answered = drawing.post(drawing.names[0], put())
    assert answered.status_code == (409 if place == "annotations" else 200)
    assert sorted(outside.rglob("*")) == before


@pytest.mark.parametrize("name", ["{tile}.geojson", "audit.jsonl", ".lock", ".{tile}.geojson.tmp"])
def test_a_file_that_is_a_link_is_neither_read_nor_written(
    drawing: Drawing, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    tile = drawing.names[0]
    drawing.post(drawing.names[1], put())
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    before = outside.read_bytes()
    link = drawing.path(tile).with_name(name.format(tile=tile))
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    answered = drawing.post(tile, put())
    assert answered.status_code == (200 if name.endswith(".tmp") else 409), answered.text
    assert outside.read_bytes() == before
    if name == "{tile}.geojson":
        assert drawing.get(f"tiles/{tile}/marks", reader="anna").status_code == 409
        assert drawing.get("export", reader="anna", tile=tile).status_code == 409


def test_classes_are_not_written_through_a_link(drawing: Drawing, tmp_path: Path) -> None:
    target = tmp_path / "target.json"
    target.write_text("{}")
    (drawing.folder / "annotations").mkdir()
    os.symlink(target, drawing.folder / "annotations" / "classes.json")
    body = {"classes": [{"name": "mitosis", "color": [1, 2, 3]}]}
    drawing.client.put("/api/runs/demo/annotations/classes", json=body)
    assert target.read_text() == "{}"


@pytest.mark.parametrize("tile", ["..", "%2e%2e", "..%2f..%2fetc", "none", "x" * 5000, "a\0b"])
def test_a_tile_is_one_that_the_run_lists(drawing: Drawing, tile: str) -> None:
    for path in ("marks?reader=anna", "input.png", "maps", "agreement?reader=anna"):
        url = f"/api/runs/demo/annotations/tiles/{tile.replace(chr(0), '%00')}/{path}"
        assert drawing.client.get(url).status_code == 404


def test_a_pipe_in_place_of_a_file_does_not_hold_the_page_up(drawing: Drawing) -> None:
    drawing.post(drawing.names[1], put())
    os.mkfifo(drawing.path(drawing.names[0]))
    assert drawing.post(drawing.names[0], put()).status_code == 409


def test_classes_are_the_runs(drawing: Drawing, client: TestClient) -> None:
    url = "/api/runs/demo/annotations/classes"
    classes = [{"name": " mitosis ", "color": [1, 2, 3]}]
    assert client.put(url, json={"classes": classes}).json() == {
        "classes": [{"name": "mitosis", "color": [1, 2, 3]}]
    }
    (feature,) = drawing.post(drawing.names[0], put(label="mitosis")).json()["features"]
    assert feature["properties"]["classification"]["color"] == [1, 2, 3]
    for wrong in (
        {"classes": []},
        {"classes": classes * 21},
        {"classes": classes * 2},
        {"classes": [{"name": "", "color": [0, 0, 0]}]},
        {"classes": [{"name": "a", "color": [0, 0, 256]}]},
    ):
        assert client.put(url, json=wrong).status_code == 422
