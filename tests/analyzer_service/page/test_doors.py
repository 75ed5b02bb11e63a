"""Every route of the page, whoever wrote it: nothing outside is read, nobody unasked gets in."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from analyzer_service.page import ready
from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings
from tests.analyzer_service.sinks.runs import write_run

SECRET = "what nobody may read 8c1f"
HOSTILE = (
    *("..%2Fsecret.txt", "..%2F..%2Fsecret.txt", "%2e%2e%2fsecret.txt", "%2Fetc%2Fpasswd"),
    *("..%5Csecret.txt", "%00", "a%0d%0ab", "CON", "%F0%9F%92%A9", "x" * 3000, "demo%2F..%2F.."),
    *("%3Cscript%3Ealert(1)%3C%2Fscript%3E", "'%20OR%201=1--", "%2e", "-1", "nan", "1e999"),
    *("9" * 18, "9" * 5000, "%D9%A3"),
)


@pytest.fixture
def output_dir(tmp_path: Path) -> Path:
    """An output folder with the run ``demo``, a secret beside it, and links that lead to it."""
    (tmp_path / "secret.txt").write_text(SECRET)
    folder = tmp_path / "runs"
    run = write_run(folder / "auto_analysis_demo")
    run.close()
    write_run(tmp_path / "elsewhere" / "auto_analysis_outside").close()
    (folder / "auto_analysis_link").symlink_to(tmp_path / "elsewhere" / "auto_analysis_outside")
    (folder / "auto_analysis_demo" / "train_batch_000100.png").unlink(missing_ok=True)
    (folder / "auto_analysis_demo" / "train_batch_000100.png").symlink_to(tmp_path / "secret.txt")
    return folder


def paths(routes: list[Route], run: str, other: str) -> Iterator[tuple[str, str]]:
    """Method and path of each route, with `run` as its run and `other` as all else."""
    for route in routes:
        path = route.path
        for name in route.param_convertors:
            given = run if name == "run" else other
            path = re.sub(rf"\{{{name}(:\w+)?\}}", lambda _, given=given: given, path)
        for method in sorted((route.methods or set()) - {"HEAD"}):
            yield method, path


def routes_of(client: TestClient) -> list[Route]:
    """All routes but the streams of events, which do not end."""
    found = [route for route in client.app.routes if isinstance(route, Route)]  # type: ignore[attr-defined]
    assert len(found) > 20
    return [route for route in found if not route.path.endswith("/live")]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_no_request_reads_what_lies_outside(output_dir: Path, hostile: str) -> None:
    app = build_app(PageSettings(output_dir))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        headers = {"sec-fetch-site": "same-origin"}
        for run, other in ((hostile, "1"), ("demo", hostile), ("link", "1")):
            with_hostile = [
                route
                for route in routes_of(client)
                if set(route.param_convertors) - ({"run"} if run == "demo" else set())
            ]
            for method, path in paths(with_hostile, run, other):
                said = client.request(method, path, headers=headers, content=b"{}")
                assert SECRET not in said.text, (method, path)
                assert 400 <= said.status_code < 500, (method, path, said.text)


def test_every_route_asks_for_the_token(output_dir: Path) -> None:
    app = build_app(PageSettings(output_dir, token="right"))
    with TestClient(app, base_url="http://node7", follow_redirects=False) as client:
        for method, path in paths(routes_of(client), "demo", "1"):
            said = client.request(method, path, content=b"{}")
            if path != ready.PATH:  # for who starts and watches containers
                assert said.status_code == 401, (method, path)
        assert set(client.get(ready.PATH).json()) == {"status", "checks"}
        assert client.get("/static/runs.js").status_code == 401


def test_no_other_site_changes_anything(output_dir: Path) -> None:
    app = build_app(PageSettings(output_dir))
    with TestClient(app, base_url="http://127.0.0.1") as client:
        changing = [
            (method, path)
            for method, path in paths(routes_of(client), "demo", "1")
            if method != "GET"
        ]
        assert changing
        for method, path in changing:
            for headers in (
                {},
                {"sec-fetch-site": "cross-site"},
                {"origin": "http://evil.example"},
            ):
                said = client.request(method, path, headers=headers, content=json.dumps({}))
                assert said.status_code == 403, (method, path, headers)
