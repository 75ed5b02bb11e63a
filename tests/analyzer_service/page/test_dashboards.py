"""Dashboards as pictures: only those that the run lists, and each sent once."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from tests.analyzer_service.sinks.runs import RunWriter

RUN = "/api/runs/demo/dashboards"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunWriter]:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    for number in (1, 2):
        run.batch(number, phase="val", epoch=number - 1, global_step=10 * number)
        run.dashboard("val", number)
    yield run
    run.close()


def test_the_list_says_what_each_shows(client: TestClient, run: RunWriter) -> None:
    found = client.get(RUN).json()
    assert [(d["file"], d["phase"], d["number"], d["epoch"]) for d in found] == [
        ("val_batch_000001.png", "val", 1, 0),
        ("val_batch_000002.png", "val", 2, 1),
    ]
    assert client.get(RUN, params={"after": found[0]["id"]}).json() == found[1:]


def test_a_picture_is_sent_as_it_is_and_only_once(client: TestClient, run: RunWriter) -> None:
    path = run.folder / "val_batch_000001.png"
    first = client.get(f"{RUN}/{path.name}")
    assert first.content == path.read_bytes()
    assert first.headers["content-type"] == "image/png"
    seen = {"If-None-Match": first.headers["etag"]}
    again = client.get(f"{RUN}/{path.name}", headers=seen)
    assert (again.status_code, again.content) == (304, b"")
    Image.new("RGB", (40, 30), (1, 2, 3)).save(path)
    anew = client.get(f"{RUN}/{path.name}", headers=seen)
    assert (anew.status_code, anew.content) == (200, path.read_bytes())


def test_thumbnails_are_small_and_write_nothing(client: TestClient, run: RunWriter) -> None:
    path = run.folder / "val_batch_000001.png"
    Image.new("RGB", (640, 420), (200, 30, 60)).save(path)
    before = {each.name for each in run.folder.iterdir()}
    said = client.get(f"{RUN}/{path.name}", params={"width": 320})
    picture = cv2.imdecode(np.frombuffer(said.content, np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (210, 320, 3)
    assert np.abs(picture[..., ::-1].astype(int) - (200, 30, 60)).max() <= 4  # JPEG
    seen = {"If-None-Match": said.headers["etag"]}
    assert client.get(said.url, headers=seen).status_code == 304
    assert {each.name for each in run.folder.iterdir()} == before


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("val_batch_000009.png", 404),
        ("metrics.sqlite", 404),
        ("val_batch_000001.png?width=5", 400),
        ("val_batch_000001.png?width=9999", 400),
        ("val_batch_000001.png?width=no", 400),
    ],
)
def test_only_what_the_run_lists_is_sent(
    client: TestClient, run: RunWriter, path: str, status: int
) -> None:
    assert client.get(f"{RUN}/{path}").status_code == status


def test_a_file_that_is_gone_damaged_or_elsewhere_is_said_to_be(
    client: TestClient, run: RunWriter, tmp_path: Path
) -> None:
    path = run.folder / "val_batch_000001.png"
    (tmp_path / "secret.png").write_bytes(path.read_bytes())
    path.write_bytes(path.read_bytes()[:40])
    assert client.get(f"{RUN}/{path.name}", params={"width": 320}).status_code == 410
    path.unlink()
    assert client.get(f"{RUN}/{path.name}").status_code == 410
    path.symlink_to(tmp_path / "secret.png")
    assert client.get(f"{RUN}/{path.name}").status_code == 410


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_picture_has_no_thumbnail(
    client: TestClient, run: RunWriter, content: bytes
) -> None:
    (run.folder / "val_batch_000001.png").write_bytes(content)
    said = client.get(f"{RUN}/val_batch_000001.png", params={"width": 64})
    assert said.status_code == 410
    assert "damaged" in said.json()["error"]


def test_a_picture_of_huge_dimensions_is_not_decoded(client: TestClient, run: RunWriter) -> None:
    path = run.folder / "val_batch_000001.png"
    head = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 20_000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk)
    said = client.get(f"{RUN}/{path.name}", params={"width": 320})
    assert said.status_code == 413
    assert "30,000 x 20,000" in said.json()["error"]
    assert client.get(f"{RUN}/{path.name}").content == path.read_bytes()
