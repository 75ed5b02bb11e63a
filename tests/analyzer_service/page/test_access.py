"""Who is let in: by HTTP's own rules (RFC 9110, the Fetch standard's Sec-Fetch-Site)."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page
from starlette.testclient import TestClient

from analyzer_service.listening import parse_http_address
from analyzer_service.page.app import build_app
from analyzer_service.page.settings import PageSettings, token_for
from tests.analyzer_service.page.serving import Served
from tests.analyzer_service.sinks.runs import write_run


def test_a_foreign_host_name_leads_nowhere(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/", headers={"host": "evil.example:8080"}).status_code == 403


def test_beyond_this_machine_a_token_is_asked_for() -> None:
    assert token_for(parse_http_address("127.0.0.1:8080", option="--bind")) is None
    tokens = {token_for(parse_http_address("0.0.0.0:8080", option="--bind")) for _ in range(3)}
    assert None not in tokens
    assert len(tokens) == 3


def test_the_token_is_brought_once_and_then_kept_in_a_cookie(tmp_path: Path) -> None:
    app = build_app(PageSettings(tmp_path, token="right"))
    with TestClient(app, base_url="http://node7:8080", follow_redirects=False) as client:
        assert client.get("/").status_code == 401
        assert client.get("/?token=wrong").status_code == 401
        first = client.get("/?token=right&x=1")
        assert (first.status_code, first.headers["location"]) == (303, "/?x=1")
        assert "HttpOnly" in first.headers["set-cookie"]
        assert client.get("/").status_code == 200


@pytest.mark.parametrize("path", ["//evil.example/a", "/\\evil.example"])
def test_the_token_leads_to_no_other_host(tmp_path: Path, path: str) -> None:
    app = build_app(PageSettings(tmp_path, token="right"))
    with TestClient(app, base_url="http://node7", follow_redirects=False) as client:
        location = client.get(f"http://node7{path}?token=right").headers["location"]
    assert location.startswith("/")
    assert not location.startswith(("//", "/\\"))


def test_whoever_asks_is_told_that_it_is_well(tmp_path: Path) -> None:
    app = build_app(PageSettings(tmp_path, token="right"))
    with TestClient(app, base_url="http://node7") as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_no_script_runs_that_is_not_the_pages_own(client: TestClient) -> None:
    policy = client.get("/").headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_the_list_opens_in_a_browser_and_asks_no_other_host(
    tmp_path: Path, serve: Callable[..., Served], tab: Page
) -> None:
    run = write_run(tmp_path / "auto_analysis_demo")
    run.close()
    served = serve()
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    tab.goto(served.url)
    tab.get_by_role("link", name="Sidelight").wait_for()
    assert asked
    assert [url for url in asked if not url.startswith((served.url, "data:"))] == []
