"""Charts in a real browser: what they show is read from the CSV that they give."""

import csv
import io
import math
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Locator, Page, expect

from tests.analyzer_service.page.serving import Served
from tests.analyzer_service.page.watching.test_series import write_rows
from tests.analyzer_service.sinks.runs import RunWriter

Floats = NDArray[np.float64]
ROWS = 1300
SHORT = 100
LIMIT_MS = 15_000
ZOOMED = re.compile(r"steps [\d,]+ to [\d,]+")
BATCHES = 2


@pytest.fixture(scope="module")
def losses() -> Floats:
    made = np.exp(-np.arange(ROWS) / 300) + np.random.default_rng(2).normal(0, 0.01, ROWS)
    made[1234] = 50.0
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, losses: Floats) -> Path:
    """Run "a": 1,300 training rows, 2 validation rows at each of 20 steps; run "b": a short one."""
    made: Path = tmp_path_factory.mktemp("charts")
    for name, lr, rows in (("a", 0.1, ROWS), ("b", 0.2, SHORT)):
        run = RunWriter(made / f"auto_analysis_{name}", run_name=name, config={"lr": lr})
        write_rows(run, losses[:rows])
        write_rows(run, losses[: 20 * BATCHES], phase="val")
        run.close()
    return made


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    served = Served(folder, log=folder / "page.log")
    yield served.url
    served.close()


def chart(tab: Page, label: str) -> Locator:
    return tab.get_by_role("region", name=label, exact=True)


def drawn(tab: Page, label: str, rows: int) -> Locator:
    """The chart, once it has drawn that many rows."""
    found = chart(tab, label)
    canvas = found.locator(".canvas")
    expect(canvas).to_have_attribute("data-rows", str(rows), timeout=LIMIT_MS)
    expect(found.locator(".legend strong").get_by_text("–")).to_have_count(0)
    return found


def csv_of(tab: Page, found: Locator) -> dict[str, Floats]:
    """Columns of the CSV that a chart gives; NaN where it has no number."""
    with tab.expect_download() as download:
        found.get_by_role("button", name="CSV").click()
    text = download.value.path().read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    return {
        name: np.array([float(row[name]) if row[name] else math.nan for row in rows])
        for name in rows[0]
    }


def test_a_chart_shows_means_and_extremes_and_follows_the_run(
    folder: Path, url: str, losses: Floats, tab: Page
) -> None:
    shutil.copytree(folder / "auto_analysis_a", folder / "auto_analysis_live")
    run = RunWriter(folder / "auto_analysis_live")
    tab.goto(f"{url}runs/live")
    found = csv_of(tab, drawn(tab, "Loss", ROWS))
    parts = [losses[at : at + 4] for at in range(0, ROWS, 4)]
    train = np.isfinite(found["train/loss"])
    np.testing.assert_allclose(found["train/loss"][train], [p.mean() for p in parts], rtol=1e-12)
    np.testing.assert_array_equal(found["train/loss:low"][train], [p.min() for p in parts])
    np.testing.assert_array_equal(found["train/loss:high"][train], [p.max() for p in parts])
    # Validation has two rows a step: one point of them.
    passes = losses[: 20 * BATCHES].reshape(20, BATCHES)
    val = np.isfinite(found["val/loss"])
    np.testing.assert_allclose(found["val/loss"][val], passes.mean(axis=1), rtol=1e-12)
    np.testing.assert_array_equal(found["val/loss:high"][val], passes.max(axis=1))
    run.batch(ROWS + 1, framed=False, loss=7.5)
    run.batch(ROWS + 2, framed=False, loss=8.5)
    again = csv_of(tab, drawn(tab, "Loss", ROWS + 2))
    expect(chart(tab, "Loss").locator(".legend strong").first).to_have_text("8")
    last = np.flatnonzero(np.isfinite(again["train/loss"]))[-1]
    assert again["train/loss"][last] == 8.0
    assert (again["train/loss:low"][last], again["train/loss:high"][last]) == (7.5, 8.5)
    run.close()


def test_zooming_one_chart_zooms_all_and_the_address_holds_it(
    url: str, losses: Floats, tab: Page
) -> None:
    tab.goto(f"{url}runs/a#charts/val=0&smooth=0")
    over = drawn(tab, "Loss", ROWS).locator(".u-over")
    box = over.bounding_box()
    assert box is not None
    left, middle = box["x"], box["y"] + box["height"] / 2
    tab.mouse.move(left + 0.5 * box["width"], middle)
    tab.mouse.down()
    tab.mouse.move(left + 0.6 * box["width"], middle, steps=4)
    tab.mouse.up()
    expect(tab.get_by_role("status").filter(has_text=ZOOMED)).to_be_visible()
    expect(tab).to_have_url(re.compile(r"from=\d+&to=\d+"))
    shared = tab.url
    first, last = (float(re.search(rf"{key}=(\d+)", shared)[1]) for key in ("from", "to"))  # type: ignore[index]
    assert (abs(first - 0.5 * ROWS) < 20, abs(last - 0.6 * ROWS) < 20) == (True, True)
    # Close enough, the rows themselves are there: not means of four.
    found = _exact(tab)
    steps = found["global_step"].astype(int)
    assert 100 < len(steps) < 160
    np.testing.assert_array_equal(found["train/loss"], losses[steps - 1])
    other = tab.context.new_page()
    other.goto(shared)
    expect(other.get_by_role("status").filter(has_text=ZOOMED)).to_be_visible()
    drawn(other, "Loss", ROWS)
    over.dblclick()
    expect(tab.get_by_role("status").filter(has_text="all steps")).to_be_visible()


def _exact(tab: Page) -> dict[str, Floats]:
    """The CSV once it has no band any more: the view's own points have come then."""
    for _ in range(100):
        found = csv_of(tab, chart(tab, "Loss"))
        if "train/loss:low" not in found:
            return found
    raise AssertionError("the view's own points did not come")


def test_smoothing_is_a_moving_average_along_the_steps(url: str, tab: Page) -> None:
    tab.goto(f"{url}runs/a#charts/val=0&smooth=0.8")
    found = csv_of(tab, drawn(tab, "Loss", ROWS))
    x, y = found["global_step"], found["train/loss"]
    width = x[-1] - x[0]
    # By the definition: weights 0.8^(distance in thousandths of the view), in double loops.
    expected = [
        np.average(y[: i + 1], weights=0.8 ** ((x[i] - x[: i + 1]) / width * 1000))
        for i in range(len(x))
    ]
    np.testing.assert_allclose(found["train/loss:smoothed"], expected, rtol=1e-9)


def test_charts_are_searched_read_by_keys_and_saved(url: str, tab: Page) -> None:
    tab.goto(f"{url}runs/a")
    found = drawn(tab, "Loss", ROWS)
    search = tab.get_by_role("searchbox")
    search.fill("memory|^psnr$")
    expect(tab.get_by_role("status").filter(has_text="2 charts")).to_be_visible()
    expect(chart(tab, "Loss")).to_have_count(0)
    search.fill("loss(")
    expect(tab.get_by_text("Not a regular expression")).to_be_visible()
    search.fill("")
    canvas = found.locator(".canvas")
    canvas.focus()
    tab.keyboard.press("Home")
    expect(found.locator(".step")).to_have_text("step 3")
    tab.keyboard.press("End")
    expect(found.locator(".step")).to_contain_text("step 1,29")
    with tab.expect_download() as download:
        found.get_by_role("button", name="PNG").click()
    with Image.open(download.value.path()) as picture:
        assert picture.convert("RGB").getpixel((0, 0)) == (255, 255, 255)
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50


def test_runs_are_compared_in_one_chart(url: str, losses: Floats, tab: Page) -> None:
    tab.goto(f"{url}compare?run=a#compare/smooth=0")
    tab.get_by_label("b running").check()
    found = drawn(tab, "Loss", ROWS)
    expect(found.locator(".legend li")).to_have_count(4)
    expect(tab.get_by_role("row", name="config.lr 0.1 0.2")).to_be_visible()
    expect(found.locator(".legend .name").last).to_contain_text("b")
    columns = csv_of(tab, found)
    short = columns["b/train/loss"][np.isfinite(columns["b/train/loss"])]
    np.testing.assert_array_equal(short, losses[:SHORT])
    assert "run=b" in tab.url
