"""Tags, notes and the archive: kept, limited, never lost between two tabs, never in the way."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from analyzer_service.annotations.files import SUFFIXES
from analyzer_service.clinical.matching import match
from analyzer_service.page.annotating import durable
from analyzer_service.page.listing.marks import FILE, ConflictError, change_marks, read_marks
from shared.errors import ConfigurationError
from tests.analyzer_service.sinks.runs import write_run


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "auto_analysis_demo"
    write_run(folder).close()
    return folder


def patch(client: TestClient, **change: Any) -> tuple[int, dict[str, Any]]:
    answer = client.patch("/api/runs/demo", json=change)
    return answer.status_code, answer.json()


def marks_of(client: TestClient) -> dict[str, Any]:
    (run,) = client.get("/api/runs").json()["runs"]
    return {name: run[name] for name in ("tags", "note", "archived", "version")}


def test_tags_and_a_note_are_kept(client: TestClient) -> None:
    assert marks_of(client) == {"tags": [], "note": "", "archived": False, "version": 0}
    patch(client, version=0, tags=["best", " wide ", "best"])
    status, told = patch(client, version=1, note="lr too high\n– Ärztin")
    assert status == 200
    assert told == marks_of(client)
    assert told == {
        "tags": ["best", "wide"],
        "note": "lr too high\n– Ärztin",
        "archived": False,
        "version": 2,
    }
    assert patch(client, version=2, archived=True)[1]["archived"] is True
    assert patch(client, version=3, archived=False, tags=[], note="")[1]["tags"] == []


def test_the_second_of_two_tabs_is_told_what_the_first_one_wrote(client: TestClient) -> None:
    patch(client, version=0, note="the first tab's")
    status, told = patch(client, version=0, note="the second tab's")
    assert status == 409
    assert "meanwhile" in told["error"]
    assert told["current"]["note"] == "the first tab's"
    assert marks_of(client)["note"] == "the first tab's"
    assert patch(client, version=told["current"]["version"], note="taken over")[0] == 200


def test_of_changes_at_the_same_time_one_holds_and_the_others_know(folder: Path) -> None:
    def change(number: int) -> int | None:
        try:
            return change_marks(folder, {"version": 0, "note": str(number)}).version
        except ConflictError:
            return None

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(change, range(16)))
    assert versions.count(1) == 1
    assert versions.count(None) == 15
    assert read_marks(folder).note == str(versions.index(1))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"tags": ["x"] * 21}, "at most 20 tags"),
        ({"tags": ["x" * 51]}, "at most 20 tags"),
        ({"tags": [" "]}, "at most 20 tags"),
        ({"tags": "best"}, "at most 20 tags"),
        ({"note": "x" * 10_001}, "at most 10,000 characters"),
        ({"note": "\ud800"}, "note"),
        ({"archived": "perhaps"}, "no change"),
        ({"path": "/etc/passwd"}, "no change"),
        ({"version": -1}, "no change"),
    ],
)
def test_what_is_too_much_or_none_of_it_is_refused(
    client: TestClient, change: dict[str, Any], said: str
) -> None:
    content = json.dumps({"version": 0, **change})
    answer = client.patch("/api/runs/demo", content=content)
    assert answer.status_code == 400
    assert said in answer.json()["error"]
    assert marks_of(client)["version"] == 0


def test_what_is_no_json_or_endless_is_refused(client: TestClient) -> None:
    assert client.patch("/api/runs/demo", content=b"{").status_code == 400
    assert client.patch("/api/runs/demo", content=b"[" * 100_000).status_code == 400
    assert client.patch("/api/runs/demo", content=b" " * 200_000).status_code == 413
    assert client.patch("/api/runs/nobody", json={"version": 0}).status_code == 404


def test_another_site_cannot_change_them(client: TestClient) -> None:
    foreign = {"sec-fetch-site": "cross-site"}
    answer = client.patch("/api/runs/demo", json={"version": 0}, headers=foreign)
    assert answer.status_code == 403


@pytest.fixture
def read_only(folder: Path) -> Iterator[Path]:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)


def test_a_read_only_folder_says_so_and_is_shown_all_the_same(
    read_only: Path, client: TestClient
) -> None:
    status, told = patch(client, version=0, note="x")
    assert status == 403
    assert "cannot be written" in told["error"]
    assert marks_of(client)["version"] == 0


def test_a_disk_that_takes_nothing_says_so_and_keeps_what_was(
    folder: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch(client, version=0, note="kept")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    status, told = patch(client, version=1, note="lost")
    assert status == 403
    assert "No space left on device" in told["error"]
    assert marks_of(client)["note"] == "kept"
    assert [path.name for path in (folder / FILE).parent.iterdir()] == [Path(FILE).name]


def test_a_folder_that_takes_no_file_says_so(folder: Path, client: TestClient) -> None:
    (folder / "annotations").write_bytes(b"in the way")
    status, told = patch(client, version=0, note="x")
    assert status == 403
    assert "cannot be written" in told["error"]
    assert marks_of(client)["version"] == 0


def test_nothing_is_written_outside_of_the_run(folder: Path, client: TestClient) -> None:
    outside = folder.parent.parent / f"{folder.parent.name}_outside"
    outside.mkdir()
    (folder / "annotations").symlink_to(outside)
    status, told = patch(client, version=0, note="x")
    assert status == 403
    assert "leads out" in told["error"]
    assert list(outside.iterdir()) == []
    outside.rmdir()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version": 1, "note": 7}', b"\xff\xfe"])
def test_marks_that_cannot_be_read_are_none_and_hide_nothing(
    folder: Path, client: TestClient, content: bytes
) -> None:
    (folder / FILE).parent.mkdir()
    (folder / FILE).write_bytes(content)
    assert marks_of(client) == {"tags": [], "note": "", "archived": False, "version": 0}


def test_a_link_to_marks_elsewhere_is_not_followed(folder: Path, client: TestClient) -> None:
    secret = folder.parent / "secret"
    secret.write_text('{"version": 1, "note": "secret"}')
    (folder / FILE).parent.mkdir()
    (folder / FILE).symlink_to(secret)
    assert marks_of(client)["note"] == ""


def test_the_file_is_not_taken_for_annotations(folder: Path, client: TestClient) -> None:
    patch(client, version=0, note="x")
    assert (folder / FILE).suffix not in SUFFIXES
    with pytest.raises(ConfigurationError, match="no annotations in"):
        match((folder / FILE).parent, [])


def test_marks_that_somebody_holds_are_not_waited_for_without_end(
    folder: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "_PATIENCE_S", 0.05)
    patch(client, version=0, note="kept")
    held = os.open((folder / FILE).parent, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)
    status, told = patch(client, version=1, note="late")
    assert (status, "try again" in told["error"]) == (503, True)
    os.close(held)
    assert patch(client, version=1, note="now")[0] == 200


def test_what_a_killed_page_left_half_written_is_gone_with_the_next_change(
    folder: Path, client: TestClient
) -> None:
    patch(client, version=0, note="kept")
    left = folder / "annotations" / ".run.page.4711.tmp"
    left.write_text('{"note": "ha')
    assert marks_of(client)["note"] == "kept"
    assert patch(client, version=1, note="next")[0] == 200
    assert not left.exists()
