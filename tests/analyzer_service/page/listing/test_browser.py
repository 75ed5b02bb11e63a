"""The list of runs in a real browser: found, marked, compared, live, and never a script."""

import re
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from analyzer_service.page.listing.marks import change_marks, read_marks
from tests.analyzer_service.page.near import near_page
from tests.analyzer_service.sinks.runs import RunWriter, write_run
from tests.builders import START_NS

EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def finished(output_dir: Path, name: str, **options: Any) -> None:
    run = write_run(output_dir / f"auto_analysis_{name}", **options)
    run.end()
    run.close()


def names(tab: Page) -> list[str]:
    return [link.split()[0] for link in tab.locator("tbody .name > a").all_inner_texts()]


@pytest.fixture
def opened(tmp_path: Path, tab: Page) -> Iterator[Callable[[], Page]]:
    """Opens the list over `tmp_path`."""
    with near_page(tmp_path) as url:

        def open_list() -> Page:
            tab.goto(url)
            return tab

        yield open_list
        tab.goto("about:blank")  # or it would miss the server


def test_a_run_that_comes_is_noticed_and_followed(
    tmp_path: Path, opened: Callable[[], Page]
) -> None:
    tab = opened()
    expect(tab.get_by_text(f"python -m trainer --output-dir {tmp_path}")).to_be_visible()
    run = RunWriter(tmp_path / "auto_analysis_demo")
    run.batch(1)
    row = tab.get_by_role("row").filter(has=tab.get_by_role("link", name="demo"))
    expect(row.get_by_text("running")).to_be_visible()
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "5")  # 1 of 20
    for number in range(2, 11):
        run.batch(number)
    expect(row.get_by_role("progressbar")).to_have_attribute("aria-valuenow", "50")
    run.end()
    run.close()
    expect(row.get_by_text("finished")).to_be_visible()
    expect(row.get_by_role("progressbar")).to_have_count(0)


def test_runs_are_found_sorted_and_compared(tmp_path: Path, opened: Callable[[], Page]) -> None:
    for number, name in enumerate(["zebra", "run10", "run9"]):
        finished(tmp_path, name, started_at_ns=START_NS + number, epochs=1, batches=2)
    change_marks(tmp_path / "auto_analysis_run9", {"version": 0, "tags": ["paper"], "note": "best"})
    tab = opened()
    expect(tab.get_by_role("columnheader", name="Started")).to_have_attribute(
        "aria-sort", "descending"
    )
    assert names(tab) == ["run9", "run10", "zebra"]
    header = tab.get_by_role("columnheader", name="Run", exact=True)
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "ascending")
    assert names(tab) == ["run9", "run10", "zebra"]
    header.get_by_role("button").click()
    expect(header).to_have_attribute("aria-sort", "descending")
    assert names(tab) == ["zebra", "run10", "run9"]

    tab.keyboard.press("/")
    tab.keyboard.type("BEST pap")
    expect(tab.locator("tbody tr")).to_have_count(1)
    assert names(tab) == ["run9"]
    tab.reload()
    expect(tab.locator("tbody tr")).to_have_count(1)  # a view can be passed on by its address
    tab.get_by_role("searchbox").fill("nothing like it")
    tab.get_by_role("button", name="Clear the filters").click()

    tab.get_by_label("Pick run9 to compare").check()
    expect(tab.get_by_role("button", name="Compare 1 run")).to_be_disabled()
    tab.get_by_label("Pick zebra to compare").check()
    tab.get_by_role("button", name="Compare 2 runs").click()
    tab.wait_for_url(re.compile(r"/compare\?run=run9&run=zebra$"))


def test_tags_and_the_archive_with_keys_alone(tmp_path: Path, opened: Callable[[], Page]) -> None:
    finished(tmp_path, "demo", epochs=1)
    folder = tmp_path / "auto_analysis_demo"
    tab = opened()
    tab.get_by_role("button", name="Add tag of demo").press("Enter")
    tag = tab.get_by_role("group", name="Tags of demo")
    expect(tab.get_by_label("New tag of demo")).to_be_focused()
    tab.keyboard.type("paper")
    tab.keyboard.press("Enter")
    expect(tag.get_by_text("paper")).to_be_visible()
    tab.keyboard.type("best")
    tab.keyboard.press("Enter")
    expect(tag.get_by_role("button", name="Remove tag best")).to_be_visible()
    tab.keyboard.press("Escape")
    expect(tab.get_by_role("button", name="Edit tags of demo")).to_be_focused()
    assert read_marks(folder).tags == ("paper", "best")

    tab.get_by_role("button", name="Archive demo").press("Enter")
    expect(tab.get_by_text("demo is archived.")).to_be_visible()
    expect(tab.locator("tbody tr")).to_have_count(0)
    assert read_marks(folder).archived
    tab.get_by_role("button", name="Undo").press("Enter")
    expect(tab.locator("tbody tr")).to_have_count(1)
    assert not read_marks(folder).archived


def test_two_tabs_that_write_one_note_lose_nothing_unseen(tmp_path: Path, browser: Browser) -> None:
    finished(tmp_path, "demo", epochs=1)
    folder = tmp_path / "auto_analysis_demo"
    # Not `tab`: a browser writes each refusal of a server to its console as an error.
    with near_page(tmp_path) as url, closing(browser.new_context()) as context:
        tab = context.new_page()
        tab.goto(url)
        tab.get_by_role("button", name="Add note of demo").click()
        tab.get_by_role("textbox", name="Note of demo").fill("mine")
        change_marks(folder, {"version": 0, "note": "theirs"})
        tab.get_by_role("button", name="Save").click()
        dialog = tab.get_by_role("dialog", name="demo was changed meanwhile")
        expect(dialog.get_by_text("theirs", exact=True)).to_be_visible()
        expect(dialog.get_by_text("mine", exact=True)).to_be_visible()
        assert read_marks(folder).note == "theirs"
        dialog.get_by_role("button", name="Put mine in its place").click()
        expect(tab.get_by_role("button", name="mine")).to_be_visible()
        assert read_marks(folder).note == "mine"

        tab.get_by_role("button", name="Note of demo").click()
        tab.get_by_role("textbox", name="Note of demo").fill("mine again")
        change_marks(folder, {"version": 2, "note": "theirs again"})
        tab.get_by_role("button", name="Save").click()
        dialog.get_by_role("button", name="Keep theirs").click()
        expect(tab.get_by_role("button", name="theirs again")).to_be_visible()
        assert read_marks(folder).note == "theirs again"


def test_nothing_that_was_written_becomes_a_script(
    tmp_path: Path, opened: Callable[[], Page]
) -> None:
    evil = EVIL.replace("/", "")  # a slash cannot be in a folder's name
    finished(tmp_path, evil, epochs=1, project=EVIL)
    change_marks(
        tmp_path / f"auto_analysis_{evil}", {"version": 0, "tags": [EVIL[:50]], "note": EVIL}
    )
    broken = tmp_path / "auto_analysis_<b onclick=alert(1)>broken"
    broken.mkdir()
    (broken / "metrics.sqlite").write_bytes(b"no database" * 100)
    tab = opened()
    expect(tab.get_by_role("link", name=evil)).to_be_visible()
    expect(tab.get_by_role("button", name=EVIL[:50], exact=True)).to_be_visible()
    expect(tab.get_by_text("<b onclick=alert(1)>broken").first).to_be_visible()
    tab.get_by_role("button", name=f"Note of {evil}", exact=True).click()
    expect(tab.get_by_role("textbox", name="Note of")).to_have_value(EVIL)
    tab.keyboard.press("Escape")
    tab.get_by_role("link", name=evil).click()
    tab.goto(tab.url.partition("#")[0] + "#health")
    expect(tab.get_by_role("heading", name="All is well")).to_be_visible()
    assert "owned" not in tab.title().replace(evil, "")
    assert tab.locator("img[src=x]").count() == 0


def test_runs_are_cards_on_a_tablet_and_nothing_is_cut_off(
    tmp_path: Path, opened: Callable[[], Page]
) -> None:
    finished(tmp_path, "a-run-with-a-rather-long-name-that-goes-on-and-on", epochs=1)
    tab = opened()
    for width in (1280, 768):
        tab.set_viewport_size({"width": width, "height": 800})
        expect(tab.get_by_role("button", name="Archive")).to_be_in_viewport(ratio=1)
        overflow = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert tab.evaluate(overflow) == 0, width
    expect(tab.get_by_label("Sort by")).to_be_visible()
