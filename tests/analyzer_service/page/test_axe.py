"""What axe-core finds to be out of reach for somebody: on every part of the page, nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.analyzer_service.page.annotating.at_work import AtWork
from tests.analyzer_service.page.serving import Served
from tests.analyzer_service.page.tiles.kept_runs import KnownRun

AXE = Path(__file__).parents[3] / "analyzer_service/page/web/node_modules/axe-core/axe.min.js"
LIMIT_MS = 15_000
PARTS = {
    "": "#app table",
    "runs/demo#charts": '[data-key="training/loss"] .canvas[data-rows="3"]',
    "runs/demo#tiles": ".tiles-tab[data-shown]",
    "runs/demo#dashboards": ".tab-dashboards img",
    "runs/demo#health": ".verdict",
    "compare?run=demo&run=other": ".compare .canvas[data-rows]",
}
FOUND = """async (options) => (await axe.run(options)).violations.map(
  (found) => [found.id, found.nodes.map((node) => node.html.slice(0, 160) + node.failureSummary)],
)"""
COLORS = {"runOnly": ["color-contrast"]}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("axe")
    for name in ("demo", "other"):
        run = KnownRun(folder, name=name)
        for number in (1, 2, 3):
            run.add(number)
            run.writer.batch(number, framed=False)
            run.writer.dashboard("val", number)
        run.close()
    served = Served(folder, log=folder / "page.log")
    yield served.url
    served.close()


@pytest.fixture
def seen(browser: Browser) -> Iterator[Page]:
    """A tab with axe-core in it."""
    if not AXE.is_file():
        pytest.skip("axe-core is not here: `make lint` brings it")
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, reduced_motion="reduce", color_scheme="light"
    )
    context.add_init_script(path=AXE)
    yield context.new_page()
    context.close()


def test_every_part_is_within_reach_light_and_dark(url: str, seen: Page) -> None:
    found = {}
    for part, there in PARTS.items():
        seen.goto("about:blank")  # an address that differs in its hash alone loads nothing
        seen.goto(url + part)
        expect(seen.locator(there).first).to_be_visible(timeout=LIMIT_MS)
        found[part] = _faults(seen)
    AtWork(seen, url, "ada", run="demo")
    found["annotate"] = _faults(seen)
    assert {part: faults for part, faults in found.items() if faults} == {}


def _faults(seen: Page) -> list[object]:
    """What is found in light colors, and what of the colors themselves in dark ones."""
    light: list[object] = seen.evaluate(FOUND, {})
    seen.emulate_media(color_scheme="dark")
    dark: list[object] = seen.evaluate(FOUND, COLORS)
    seen.emulate_media(color_scheme="light")
    return light + dark
