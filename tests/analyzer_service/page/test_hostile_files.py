"""Anything in the place of a run's files: an answer in words, soon, and nothing of elsewhere."""

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx2
import pytest
from starlette.testclient import TestClient

from tests.analyzer_service.page.tiles.kept_runs import KnownRun

SECRET = "what nobody may read 8c1f"
LIMIT_S = 20.0
RUN = "/api/runs/demo"
DASHBOARD = "val_batch_000001.png"
FILES = (
    *("annotations", "annotations/run.page", "annotations/tasks.json", "annotations/classes.json"),
    *("annotations/anna", "annotations/anna/TILE.geojson", "annotations/anna/audit.jsonl"),
    *("annotations/anna/.lock", "frames", "frames/val_000001.npz"),
    *(DASHBOARD, "health.jsonl", "metrics.sqlite", "metrics.sqlite-wal"),
)
KINDS: dict[str, Callable[[Path, Path], object]] = {
    "pipe": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "link out": lambda path, secret: path.symlink_to(secret),
    "empty": lambda path, _: path.touch(),
    "garbage": lambda path, _: path.write_bytes(b'{"at":\xff[[' * 99 + b"\n"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    run = KnownRun(tmp_path)
    run.add(1)
    run.writer.dashboard("val", 1)
    run.close()
    return tmp_path / "auto_analysis_demo"


def put_in_place_of(path: Path, kind: str, secret: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](path, secret)


def release(path: Path) -> None:
    """End whoever waits for the other end of a pipe."""
    with suppress(OSError):
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))


def soon(ask: Callable[[], httpx2.Response], path: Path) -> httpx2.Response:
    """What is answered; fails where that takes forever."""
    answers: list[httpx2.Response] = []
    thread = threading.Thread(target=lambda: answers.append(ask()), daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    release(path)
    assert answers, "no answer"
    return answers[0]


def asked(client: TestClient, tile: str) -> Iterator[Callable[[], httpx2.Response]]:
    marks = f"{RUN}/annotations/tiles/{tile}"
    for url in (
        *("/api/runs", f"{RUN}/health", f"{RUN}/metrics", f"{RUN}/series?phase=val&name=loss"),
        *(f"{RUN}/steps", f"{RUN}/probes", f"{RUN}/frames/val/1", f"{RUN}/frames/val/1/0/maps"),
        *(f"{RUN}/dashboards", f"{RUN}/dashboards/{DASHBOARD}", "/runs/demo"),
        *(f"{RUN}/dashboards/{DASHBOARD}?width=64", f"{RUN}/annotations/overview?reader=anna"),
        *(f"{marks}/input.png", f"{marks}/maps", f"{marks}/marks?reader=anna"),
        *(f"{marks}/agreement?reader=anna", f"{RUN}/annotations/export?reader=anna"),
        f"{marks}/marks?reader=bert&others=true",
    ):
        yield lambda url=url: client.get(url)  # type: ignore[misc]
    yield lambda: client.patch(RUN, json={"version": 0, "note": "x"})
    yield lambda: client.put(f"{RUN}/annotations/classes", json={"classes": []})
    for reader in ("anna", "bert"):
        op = {"op": "record", "op_id": os.urandom(8).hex(), "field": "comment", "value": "x"}
        yield lambda reader=reader, op=op: client.post(  # type: ignore[misc]
            f"{marks}/marks?reader={reader}", json={"ops": [op]}
        )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", FILES)
def test_whatever_is_in_the_place_of_a_file_there_is_an_answer_in_words(
    folder: Path, client: TestClient, name: str, kind: str
) -> None:
    (tile, *_) = client.get(f"{RUN}/annotations/overview").json()["tiles"]
    op = {"op": "record", "op_id": "1", "field": "comment", "value": "mine"}
    first = f"{RUN}/annotations/tiles/{tile['tile']}/marks?reader=anna"
    assert client.post(first, json={"ops": [op]}).status_code == 200
    secret = folder.parent / "secret"
    secret.write_text(SECRET)
    path = folder / name.replace("TILE", tile["tile"])
    put_in_place_of(path, kind, secret)
    for ask in asked(client, tile["tile"]):
        said = soon(ask, path)
        assert said.status_code < 500, (said.url, said.text)
        assert SECRET not in said.text, said.url
    assert secret.read_text() == SECRET
