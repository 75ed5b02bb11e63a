"""Who is let in: by HTTP's own rules (RFC 9110, the Fetch standard's Sec-Fetch-Site)."""

from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

import httpx2
import pytest
from playwright.sync_api import Page
from starlette.testclient import TestClient

from analyzer_service.listening import parse_http_address
from analyzer_service.page.access import HEADERS
from analyzer_service.page.app import build_app
from analyzer_service.page.listing.runs import RunList
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


@pytest.mark.parametrize("others", ['app={"x": 1}', "a=b c", "x[1]=2", "a@b=1", "a=ü", "flag"])
def test_cookies_of_other_programs_on_the_host_keep_nobody_out(tmp_path: Path, others: str) -> None:
    app = build_app(PageSettings(tmp_path, token="right"))
    with TestClient(app, base_url="http://node7:8080", follow_redirects=False) as client:
        own = client.get("/?token=right").headers["set-cookie"].partition(";")[0]
        client.cookies.clear()
        for cookies in (f"{others}; {own}", f"{own}; {others}"):
            assert client.get("/", headers={"cookie": cookies.encode()}).status_code == 200
        assert client.get("/", headers={"cookie": others.encode()}).status_code == 401


@pytest.mark.parametrize("token", ["a&b=c#d%20+e", "Schlüssel 🔑", 'x;"y"\\,z'])
def test_a_token_may_be_any_text(tmp_path: Path, token: str) -> None:
    app = build_app(PageSettings(tmp_path, token=token))
    with TestClient(app, base_url="http://node7:8080") as client:
        assert client.get(f"/?token={quote(token, safe='')}").status_code == 200
        assert client.get("/").status_code == 200


def test_the_address_that_is_printed_opens_the_page_whatever_the_token(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    served = serve(tmp_path, "--token", "a&b=c#d%20+e")
    assert httpx2.get(served.url, follow_redirects=True).status_code == 200


@pytest.mark.parametrize("name", ["100%", "a#b", "a?b"])
def test_the_token_leads_to_the_page_that_was_asked_for(tmp_path: Path, name: str) -> None:
    write_run(tmp_path / f"auto_analysis_{name}", epochs=0).close()
    app = build_app(PageSettings(tmp_path, token="right"))
    with TestClient(app, base_url="http://node7:8080") as client:
        said = client.get(f"/runs/{quote(name, safe='')}?token=right")
    assert said.status_code == 200
    assert f"<title>{name} " in said.text


@pytest.mark.parametrize("host", ["[::1", "[", "127.0.0.1]", "[x]:80"])
def test_a_host_that_is_none_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("origin", ["null", "http://[::1", "", "127.0.0.1", "//127.0.0.1:1"])
def test_an_origin_that_is_none_changes_nothing(client: TestClient, origin: str) -> None:
    del client.headers["sec-fetch-site"]
    said = client.patch("/api/runs/demo", content=b"{}", headers={"origin": origin})
    assert said.status_code == 403


def test_browsers_are_told_what_they_may_do_whatever_the_answer(
    tmp_path: Path, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(RunList, "entries", fail)
    asked = ["/", "/nowhere", "/static/runs.js", "/static/none", "/api/runs/none/health"]
    answers = [client.get(path) for path in (*asked, "/healthz", "/api/runs")]
    answers += [client.get("/", headers={"host": "evil.example"}), client.delete("/api/runs")]
    assert {each.status_code for each in answers} == {200, 403, 404, 405, 500}
    for each in answers:
        assert _named(each.headers) == HEADERS, each.url
        assert each.headers["cache-control"] in ("no-store", "no-cache")


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers by their names as `HEADERS` spells them."""
    return {name: headers.get(name, "") for name in HEADERS}


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
