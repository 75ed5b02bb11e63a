"""Whether the page can show runs now, asked as a container's health check does."""

import threading
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from analyzer_service.page import ready
from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings


def test_it_is_ready_and_no_token_is_asked_for(tmp_path: Path) -> None:
    app = build_app(PageSettings(tmp_path, token="right"))
    with TestClient(app, base_url="http://node7") as client:
        said = client.get("/readyz")
        assert said.status_code == 200
        checks = {"draining": "ok", "threads": "ok", "folder": "ok"}
        assert said.json() == {"status": "ready", "checks": checks}
        assert client.post("/readyz").status_code == 401


def test_a_folder_that_is_gone_is_named_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "runs"
    folder.mkdir()
    with TestClient(build_app(PageSettings(folder)), base_url="http://127.0.0.1") as client:
        folder.rmdir()
        said = client.get("/readyz")
        assert said.status_code == 503
        found = said.json()["checks"]["folder"]
        assert found["why"] == "the output folder cannot be read: No such file or directory"
        assert "--output-dir" in found["to do"]
        assert client.get("/healthz").status_code == 200
        folder.mkdir()
        assert client.get("/readyz").status_code == 200


def test_a_disk_that_does_not_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(ready, "_PATIENCE_S", 0.05)
    monkeypatch.setattr(ready, "_unreadable", lambda _: "" if answers.wait(30.0) else "never")
    with TestClient(build_app(PageSettings(tmp_path)), base_url="http://127.0.0.1") as client:
        said = client.get("/readyz")
        answers.set()
    assert said.status_code == 503
    assert "does not answer" in said.json()["checks"]["folder"]["why"]


def test_it_is_not_ready_once_it_ends(tmp_path: Path) -> None:
    app = build_app(PageSettings(tmp_path))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        app.state.ending = True
        assert client.get("/readyz").json()["checks"]["draining"]["why"] == "the page ends"
