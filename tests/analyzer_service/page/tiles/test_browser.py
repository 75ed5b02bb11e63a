"""Tiles and dashboards in a real browser: what the canvases show, pixel by pixel."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib import colormaps
from numpy.typing import NDArray
from playwright.sync_api import Locator, Page, expect

from tests.analyzer_service.page.serving import Served
from tests.analyzer_service.page.tiles.kept_runs import CELLS, LAYER, SIZE, KnownRun

SCALE_BAR = 3 * SIZE // 4
"""The input has one below this row."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Served]]:
    """One server for all tests; each has a run of its own."""
    folder = tmp_path_factory.mktemp("runs")
    served = Served(folder, log=folder / "page.log")
    yield folder, served
    served.close()


@pytest.fixture
def run(served: tuple[Path, Served], request: pytest.FixtureRequest) -> Iterator[KnownRun]:
    run = KnownRun(served[0], name=request.node.name)
    for number in (1, 2, 3):
        run.add(number)
        run.writer.dashboard("val", number)
    yield run
    run.close()


@pytest.fixture
def page(served: tuple[Path, Served], run: KnownRun, tab: Page) -> Callable[[str], Page]:
    """Opens a part of the run."""

    def go(part: str) -> Page:
        tab.goto(f"{served[1].url}runs/{run.name}#{part}")
        return tab

    return go


def panels(tab: Page, shown: str) -> Locator:
    """The panels, once they show what `shown` names."""
    root = tab.locator(".tiles-tab")
    expect(root).to_have_attribute("data-shown", shown)
    return root.get_by_role("img")


def pixels(canvas: Locator) -> NDArray[np.uint8]:
    url: str = canvas.evaluate("canvas => canvas.toDataURL()")
    encoded = np.frombuffer(base64.b64decode(url.partition(",")[2]), np.uint8)
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def at_centers(image: NDArray[np.uint8], cells: int) -> NDArray[np.uint8]:
    """Colors at the centers of `cells` by `cells` cells."""
    places = ((np.arange(cells) + 0.5) * len(image) / cells).astype(int)
    return image[np.ix_(places, places)]


def panel(tab: Page, label: str) -> Locator:
    return tab.get_by_role("img", name=label)


def test_keys_move_all_panels_at_once(page: Callable[[str], Page]) -> None:
    tab = page("tiles/val/1/0")
    expect(panels(tab, "val/1/0")).to_have_count(6)
    first = [pixels(canvas) for canvas in panels(tab, "val/1/0").all()]
    tab.keyboard.press("ArrowRight")
    second = [pixels(canvas) for canvas in panels(tab, "val/2/0").all()]
    assert not any(np.array_equal(one, other) for one, other in zip(first, second, strict=True))
    tab.keyboard.press("ArrowDown")
    panels(tab, "val/2/1")
    tab.keyboard.press("ArrowUp")
    tab.keyboard.press("Home")
    again = [pixels(canvas) for canvas in panels(tab, "val/1/0").all()]
    assert all(np.array_equal(one, other) for one, other in zip(first, again, strict=True))
    tab.keyboard.press("End")
    panels(tab, "val/3/0")
    tab.get_by_label("batch", exact=True).fill("2")
    tab.get_by_label("batch", exact=True).press("Enter")
    panels(tab, "val/2/0")
    assert tab.url.endswith("#tiles/val/2/0")


def test_attention_has_the_colors_of_matplotlibs_map(
    run: KnownRun, page: Callable[[str], Page]
) -> None:
    tab = page("tiles/val/2/0")
    panels(tab, "val/2/0")
    tab.get_by_label("Smooth").uncheck()
    tab.get_by_label("Map alone").check()
    tab.get_by_role("combobox", name="Scale").select_option("fixed")
    gate = run.gates[2][0]
    canvas = panel(tab, f"Attention of {LAYER}")
    for name in ("viridis", "cividis"):
        tab.get_by_role("combobox", name="Colors").select_option(name)
        expected = colormaps[name](gate, bytes=True)[..., :3]
        np.testing.assert_array_equal(at_centers(pixels(canvas), CELLS), expected)
    tab.get_by_role("combobox", name="Scale").select_option("tile")
    low, high = np.percentile(gate, (1, 99))
    scaled = ((gate.astype(float) - low) / (high - low)).clip(0, 1)
    found = at_centers(pixels(canvas), CELLS).astype(int)
    assert np.abs(found - colormaps["cividis"](scaled, bytes=True)[..., :3]).max() <= 2
    expect(tab.locator(".ticks", has_text="≥").last).to_be_visible()


def test_without_opacity_the_input_is_seen(run: KnownRun, page: Callable[[str], Page]) -> None:
    tab = page("tiles/val/2/0")
    panels(tab, "val/2/0")
    tab.get_by_label("Opacity").fill("0")
    for label in (f"Attention of {LAYER}", "Input", "Activation of encoder_kan"):
        shown = at_centers(pixels(panel(tab, label)), SIZE)[:SCALE_BAR]
        np.testing.assert_array_equal(shown, run.images[2][0][:SCALE_BAR])


def test_panels_are_zoomed_together_and_tell_what_is_under_the_pointer(
    run: KnownRun, page: Callable[[str], Page]
) -> None:
    tab = page("tiles/val/2/0")
    panels(tab, "val/2/0")
    tab.get_by_label("Opacity").fill("0")
    attention = panel(tab, f"Attention of {LAYER}")
    box = attention.bounding_box()
    assert box is not None
    attention.hover(position={"x": box["width"] * 0.95, "y": box["height"] * 0.05})
    value = float(run.gates[2][0][0, -1])
    caption = tab.locator("figcaption", has_text=f"Attention {LAYER}")
    expect(caption).to_contain_text(f"{value:.4g}".rstrip("0"))
    row, col = int(0.05 * SIZE), int(0.95 * SIZE)
    expect(tab.locator("figcaption", has_text="Input")).to_contain_text(f"row {row}, col {col}")
    before = pixels(panel(tab, "Input"))
    attention.focus()
    tab.keyboard.press("+")
    expect(tab.get_by_role("button", name="Whole tile, now 1.3×")).to_be_visible()
    assert not np.array_equal(before, pixels(panel(tab, "Input")))
    shown, others = pixels(panel(tab, "Input")), pixels(attention)
    above = len(shown) * SCALE_BAR // SIZE
    np.testing.assert_array_equal(shown[:above], others[:above])
    tab.keyboard.press("0")
    np.testing.assert_array_equal(pixels(panel(tab, "Input")), before)


def test_words_say_what_each_canvas_shows(run: KnownRun, page: Callable[[str], Page]) -> None:
    run.add(4, gate=np.full((CELLS, CELLS), 0.5, np.float32))
    tab = page("tiles/val/3/0")
    panels(tab, "val/3/0")
    tab.get_by_label("Nuclei", exact=True).check()
    expect(panel(tab, "nuclei outlined")).to_be_visible()
    gate = run.gates[3][0]
    expect(panel(tab, f"Attention of {LAYER}")).to_have_attribute(
        "aria-label", f"Attention of {LAYER}, from {gate.min():.4g} to {gate.max():.4g}"
    )
    tab.get_by_label("Nuclei", exact=True).uncheck()
    tab.keyboard.press("ArrowRight")
    flat = panel(tab, f"Attention of {LAYER}: constant gate: no spatial attention")
    expect(flat).to_be_visible()
    image = pixels(flat).astype(int)
    assert np.ptp(image, axis=2).max() == 0  # gray: no color stands for noise


def test_the_latest_step_is_followed_as_it_comes(
    run: KnownRun, page: Callable[[str], Page]
) -> None:
    tab = page("tiles")
    panels(tab, "val/3/0")
    run.add(4)
    panels(tab, "val/4/0")
    tab.keyboard.press("ArrowLeft")
    expect(tab.get_by_role("button", name="Follow the latest")).to_have_attribute(
        "aria-pressed", "false"
    )
    run.add(5)
    expect(tab.get_by_text("of 5 kept")).to_be_visible()
    panels(tab, "val/3/0")


def test_tiles_over_time_are_side_by_side(run: KnownRun, page: Callable[[str], Page]) -> None:
    tab = page("tiles/over-time")
    tab.get_by_role("combobox", name="Layer").select_option("activation_encoder_kan")
    tab.get_by_label("Opacity").fill("0")
    for position, sample in enumerate(run.samples):
        for number in (1, 2, 3):
            cell = tab.get_by_role("img", name=f"{sample.id}, epoch {number - 1}: Activation")
            np.testing.assert_array_equal(
                at_centers(pixels(cell), SIZE), run.images[number][position]
            )
    tab.get_by_role("button", name=f"Open epoch 1, step 20, of {run.samples[1].id}").click()
    panels(tab, "val/2/1")


def test_dashboards_are_a_gallery_that_grows(run: KnownRun, page: Callable[[str], Page]) -> None:
    tab = page("dashboards")
    cards = tab.locator(".card")
    expect(cards).to_have_count(3)
    expect(cards.first).to_contain_text("validation batch 3")
    run.add(4)
    run.writer.dashboard("val", 4)
    expect(cards.first).to_contain_text("validation batch 4")
    cards.first.click()
    dialog = tab.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Dashboard of validation batch 4")
    tab.keyboard.press("ArrowRight")
    picture = dialog.get_by_role("img", name="Dashboard of validation batch 3")
    expect(picture).to_have_js_property("naturalWidth", 32)
    with tab.expect_download() as download:
        dialog.get_by_role("link", name="Download").click()
    expected = run.folder / "val_batch_000003.png"
    assert download.value.suggested_filename == expected.name
    assert Path(download.value.path()).read_bytes() == expected.read_bytes()
    tab.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    tab.get_by_role("button", name="Training 0").click()
    expect(tab.get_by_text("No dashboard of this phase")).to_be_visible()
