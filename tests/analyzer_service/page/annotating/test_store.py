"""Nothing is lost: kills, full disks, two pages at once, and files of other programs."""

import errno
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from analyzer_service.annotations import read_annotations
from tests.analyzer_service.annotations.drawing import SQUARE, collection
from tests.analyzer_service.annotations.drawing import feature as qupath_feature
from tests.analyzer_service.page.annotating import killed
from tests.analyzer_service.page.annotating.drawing import Drawing, put
from tests.analyzer_service.page.serving import Served

FIRST = f"{1:08x}-0000-4000-8000-000000000000"


def audit(drawing: Drawing, reader: str = "anna") -> list[dict[str, Any]]:
    text = (drawing.folder / "annotations" / reader / "audit.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def ids_in(path: Path) -> list[str]:
    return [feature["id"] for feature in json.loads(path.read_bytes())["features"]]


def test_a_kill_at_any_line_leaves_the_old_or_the_new_document(tmp_path: Path) -> None:
    run = tmp_path / "before" / "auto_analysis_r"
    run.mkdir(parents=True)
    killed.change(tmp_path / "before", put(id_=FIRST) | {"op_id": "first"})
    module = "tests.analyzer_service.page.annotating.killed"
    died = subprocess.run(
        [sys.executable, "-m", module, str(tmp_path)], check=True, capture_output=True, text=True
    )
    second = killed.further()["feature"]["id"]
    found = []
    for line in range(int(died.stdout)):
        place = tmp_path / f"{line:04d}"
        path = place / "auto_analysis_r/annotations/anna/t.geojson"
        found.append(len(ids_in(path)))
        assert ids_in(path) in ([FIRST], [FIRST, second])
        if line % 7:
            continue
        assert killed.change(place, killed.further())["revision"] >= 2  # the browser sends again
        assert ids_in(path) == [FIRST, second]
        log = (path.parent / "audit.jsonl").read_text().splitlines()
        assert {json.loads(each)["op_id"] for each in log if "op_id" in json.loads(each)} == {
            "first",
            "second",
        }
        assert sorted(each.name for each in path.parent.iterdir()) == [
            ".lock",
            "audit.jsonl",
            "reader.txt",
            "t.geojson",
        ]
    assert found == sorted(found)
    assert (found[0], found[-1]) == (1, 2)
    assert len(found) > 50


def test_what_was_about_to_be_is_told_apart_from_what_was(tmp_path: Path) -> None:
    """A page that ends between the log and the file leaves a line of what never was."""
    (tmp_path / "auto_analysis_r").mkdir()
    killed.change(tmp_path, put(id_=FIRST) | {"op_id": "first"})
    path = tmp_path / "auto_analysis_r/annotations/anna/t.geojson"
    before = path.read_bytes()
    killed.change(tmp_path, killed.further())
    path.write_bytes(before)
    killed.change(tmp_path, {"op_id": "3", "op": "record", "field": "comment", "value": "x"})
    lines = [json.loads(line) for line in (path.parent / "audit.jsonl").read_text().splitlines()]
    assert [line["op"] for line in lines] == ["put", "put", "not_kept", "record"]
    assert (lines[2]["kept"], lines[2]["until"], lines[3]["revision"]) == (1, 2, 3)


@pytest.mark.parametrize("call", ["fsync", "write", "replace", "open"])
@pytest.mark.parametrize("time", [0, 1, 2, 3])
def test_a_full_disk_says_so_and_leaves_what_was(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch, call: str, time: int
) -> None:
    tile = drawing.names[0]
    before = drawing.post(tile, put()).json()
    real, left = getattr(os, call), [time]

    def full(*given: Any, **more: Any) -> Any:
        if call == "open" and not given[1] & (os.O_WRONLY | os.O_RDWR):
            return real(*given, **more)
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(*given, **more)

    one = put()
    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        refused = drawing.post(tile, one | {"op_id": "again"})
    if left[0] < 0:
        assert refused.status_code == 507
        assert "disk is full" in refused.json()["error"]
    assert before["features"][0] in drawing.marks(tile)["features"]
    after = drawing.post(tile, one | {"op_id": "again"}).json()
    assert len(after["features"]) == 2


def test_a_read_only_folder_is_read_and_says_that_it_cannot_be_written(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    real = os.open

    def closed(path: Any, flags: int, *mode: int, **more: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and "annotations" in str(path):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return real(path, flags, *mode, **more)

    monkeypatch.setattr(os, "open", closed)
    assert len(drawing.marks(tile)["features"]) == 1
    refused = drawing.post(tile, put())
    assert refused.status_code == 403
    assert "may only be read" in refused.json()["error"]
    drawing.path(tile).write_text(json.dumps(collection(qupath_feature(SQUARE))))
    assert drawing.marks(tile)["revision"] == 2
    assert drawing.get(f"tiles/{tile}/marks", reader="anna", others="true").status_code == 403


def test_two_pages_at_once_lose_nothing(drawing: Drawing, serve: Callable[..., Served]) -> None:
    """This process has a page, too; a browser of the other one is told of all that both did."""
    tile, base = drawing.names[0], f"{serve().url.rstrip('/')}/api/runs/demo/annotations"
    ids = [str(uuid.uuid4()) for _ in range(40)]

    def send(number: int) -> int:
        op = put(id_=ids[number]) | {"op_id": ids[number]}
        if number % 2:
            status: int = drawing.post(tile, op).status_code
            return status
        url, headers = f"{base}/tiles/{tile}/marks?reader=anna", {"sec-fetch-site": "same-origin"}
        return httpx.post(url, json={"ops": [op]}, headers=headers).status_code

    with httpx.stream("GET", f"{base}/live?reader=anna", timeout=30) as told:
        assert next(lines := told.iter_lines()) == "event: overview"
        with ThreadPoolExecutor(6) as threads:
            assert set(threads.map(send, range(len(ids)))) == {200}
        last = json.dumps({"tile": tile, "revision": len(ids)})
        assert f"data: {last}" in lines
    assert sorted(ids_in(drawing.path(tile))) == sorted(ids)
    assert [line["revision"] for line in audit(drawing)] == list(range(1, len(ids) + 1))


def test_what_qupath_changed_is_taken_in(drawing: Drawing) -> None:
    """QuPath writes all objects anew: ids stay, what it does not know of goes."""
    tile = drawing.names[0]
    kept, gone = put(id_=FIRST), put()
    shown = {"op": "shown", "what": "attention", "layer": "bam_16"}
    said = {"op": "record", "field": "comment", "value": "unsure"}
    drawing.post(tile, kept, gone, shown, said)
    stamp = drawing.marks(tile)["features"][0]["properties"]["sidelight"]
    own = qupath_feature(SQUARE, label="tumor") | {"id": FIRST}
    new = qupath_feature(SQUARE, label="necrosis", childObjects=[qupath_feature(SQUARE)])
    line = {"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[0, 0], [1, 1]]}}
    drawing.path(tile).write_text(json.dumps(collection(own, new, line)))
    found = drawing.marks(tile)
    assert found["revision"] == 2
    assert found["record"]["comment"] == "unsure"
    assert found["record"]["attention_shown_at"] is not None
    classes = [each["properties"]["classification"]["name"] for each in found["features"]]
    assert classes == ["tumor", "necrosis", "nucleus"]
    assert found["features"][0]["properties"]["sidelight"] == stamp
    assert found["features"][1]["properties"]["sidelight"]["attention_shown"] is True
    told = audit(drawing)[-1]
    assert (told["op"], told["gone"]) == ("taken_in", [gone["feature"]["id"]])
    assert drawing.marks(tile)["revision"] == 2
    after = drawing.post(tile, {"op": "delete", "id": found["features"][1]["id"]}).json()
    assert len(after["features"]) == 2
    assert line in json.loads(drawing.path(tile).read_text())["features"]


def test_an_empty_export_of_qupath_says_that_there_is_nothing(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    drawing.path(tile).write_text(json.dumps(collection()))
    assert drawing.marks(tile)["record"]["nothing"] is True
    assert read_annotations(drawing.path(tile)).usable


def test_a_file_that_is_none_is_left_alone(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    for spoiled in (b'{"type": "FeatureColl', b"[NaN]", b"[" * 100_000, b'{"a": 1e999}', b""):
        drawing.path(tile).write_bytes(spoiled)
        refused = drawing.post(tile, put())
        assert refused.status_code == 409
        assert "holds no annotations" in refused.json()["error"]
        assert drawing.path(tile).read_bytes() == spoiled
        assert drawing.get("overview", reader="anna").json()["tiles"][0]["status"] == "open"


def test_a_file_that_was_deleted_is_not_brought_back(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put(), {"op": "shown", "what": "attention"})
    drawing.path(tile).unlink()
    found = drawing.marks(tile)
    assert (found["features"], found["revision"]) == ([], 2)
    assert found["record"]["attention_shown_at"] is not None


def test_a_log_in_the_place_of_a_deleted_one_is_read_from_its_start(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    path = drawing.path(tile)
    log = path.with_name("audit.jsonl")
    first = log.read_bytes()
    assert drawing.post(tile, put()).json()["revision"] == 2
    # Written over, which leaves the inode as it is, as file systems do that give it out again.
    path.unlink()
    log.write_bytes(first.replace(b'"revision": 1', b'"revision": 7') * 9)
    assert drawing.marks(tile)["revision"] == 8


def test_an_older_file_put_back_does_not_unsay_what_was_shown(drawing: Drawing) -> None:
    tile = drawing.names[0]
    drawing.post(tile, put())
    before = drawing.path(tile).read_bytes()
    drawing.post(tile, {"op": "shown", "what": "attention"})
    drawing.path(tile).write_bytes(before)
    found = drawing.marks(tile)
    assert found["record"]["attention_shown_at"] is not None
    assert found["revision"] == 3
    assert [line["op"] for line in audit(drawing)] == ["put", "shown", "not_kept"]


def test_a_program_that_writes_meanwhile_is_not_written_over(
    drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It writes after the page read and before the page's file takes the old one's place."""
    tile = drawing.names[0]
    drawing.post(tile, put())
    foreign, real, times = qupath_feature(SQUARE, label="necrosis"), os.fsync, [0]

    def fsync(descriptor: int) -> None:
        real(descriptor)
        times[0] += 1
        if times[0] == 1:
            drawing.path(tile).write_text(json.dumps(collection(foreign)))

    monkeypatch.setattr(os, "fsync", fsync)
    after = drawing.post(tile, put(label="stroma")).json()
    classes = [each["properties"]["classification"]["name"] for each in after["features"]]
    assert classes == ["necrosis", "stroma"]
