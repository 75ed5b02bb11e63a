"""Many tabs of one browser: they share a stream, and go on where the hub that holds it dies."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.analyzer_service.page.serving import Served
from tests.analyzer_service.sinks.runs import RunWriter

TABS = 8  # two more than a browser has connections for a host
LIMIT_MS = 15_000
RUNS = ("a", "b")
HIDE = """hidden => {
  Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
  document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, RunWriter]]:
    folder = tmp_path_factory.mktemp("sharing")
    made = {name: RunWriter(folder / f"auto_analysis_{name}") for name in RUNS}
    for run in made.values():
        run.batch(1)
    yield made
    for run in made.values():
        run.close()


@pytest.fixture(scope="module")
def url(runs: dict[str, RunWriter], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    served = Served(runs["a"].folder.parent, log=tmp_path_factory.mktemp("log") / "page.log")
    yield served.url
    served.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    made = browser.new_context()
    yield made
    made.close()


def shows(tab: Page, rows: int) -> None:
    expect(tab.locator(".batches")).to_have_text(_batches(rows), timeout=LIMIT_MS)


def _batches(rows: int) -> str:
    return f"{rows} training batch{'' if rows == 1 else 'es'}"


def test_eight_tabs_are_told_of_each_row(
    runs: dict[str, RunWriter], url: str, context: BrowserContext
) -> None:
    tabs = [context.new_page() for _ in range(TABS)]
    for number, tab in enumerate(tabs):
        tab.goto(f"{url}runs/{RUNS[number % len(RUNS)]}#health")
        shows(tab, 1)
    for run in runs.values():
        run.batch(2)
    for tab in tabs:
        shows(tab, 2)
    # Those that are left go on when others, the first one too, are closed.
    for tab in tabs[:-2]:
        tab.close()
    for run in runs.values():
        run.batch(3)
    for tab in tabs[-2:]:
        shows(tab, 3)


@pytest.mark.parametrize(
    "hub",
    ["undefined", "class { port = new MessageChannel().port1 }"],
    ids=["none", "one that never answers"],
)
def test_without_a_hub_a_tab_watches_by_itself(
    hub: str, runs: dict[str, RunWriter], url: str, context: BrowserContext
) -> None:
    context.add_init_script(f"window.SharedWorker = {hub};")
    tab = context.new_page()
    tab.goto(f"{url}runs/a#health")
    rows = runs["a"].release
    shows(tab, rows)
    runs["a"].batch(rows + 1)
    shows(tab, rows + 1)


def test_a_hidden_tab_asks_for_nothing_and_catches_up(
    runs: dict[str, RunWriter], url: str, context: BrowserContext
) -> None:
    tab = context.new_page()
    tab.goto(f"{url}runs/a#health")
    rows = runs["a"].release
    shows(tab, rows)
    other = context.new_page()
    other.goto(f"{url}runs/a#health")
    tab.evaluate(HIDE, True)
    runs["a"].batch(rows + 1)
    shows(other, rows + 1)
    assert tab.locator(".batches").text_content() == _batches(rows)
    tab.evaluate(HIDE, False)
    shows(tab, rows + 1)
