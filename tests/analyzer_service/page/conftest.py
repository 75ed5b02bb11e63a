"""The page for tests: its application without a socket, its server, and a real browser."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright
from starlette.testclient import TestClient

from analyzer_service.page.app import build_app
from analyzer_service.page.settings import STATIC, PageSettings
from tests.analyzer_service.page.serving import Served

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = "no Chromium here: apt-get install chromium, or set SIDELIGHT_CHROMIUM to its path"


def chromium() -> str | None:
    given = os.environ.get("SIDELIGHT_CHROMIUM")
    return given or next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(autouse=True)
def _scripts() -> None:
    if not (STATIC / "runs.js").is_file():
        pytest.skip("the page's scripts are not built: make page")


@pytest.fixture
def client(tmp_path: Path) -> Iterator[TestClient]:
    """The application over `tmp_path`, asked as a browser on this machine would."""
    app = build_app(PageSettings(tmp_path))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        client.headers["sec-fetch-site"] = "same-origin"
        yield client


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts servers of the page as users do, over `tmp_path` unless said otherwise."""
    started: list[Served] = []

    def start(output_dir: Path = tmp_path, *options: str) -> Served:
        served = Served(output_dir, *options, log=tmp_path / f"page{len(started)}.log")
        started.append(served)
        return served

    yield start
    for served in started:
        served.close()


@pytest.fixture(scope="module")
def _playwright() -> Iterator[Playwright]:
    # Not for the session: its event loop runs in this thread, where other tests run theirs.
    with sync_playwright() as playwright:
        yield playwright


@pytest.fixture(scope="module")
def browser(_playwright: Playwright) -> Iterator[Browser]:
    """Headless Chromium; its absence skips the test, or fails it where one is required."""
    path = chromium()
    if path is None:
        if os.environ.get("SIDELIGHT_BROWSER_REQUIRED"):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    browser = _playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
    yield browser
    browser.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """An empty tab of 1280 x 800 px; an error in its scripts or of its console fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    tab = context.new_page()
    errors: list[Any] = []
    tab.on("pageerror", lambda error: errors.append(error))
    tab.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield tab
    context.close()
    assert errors == []
