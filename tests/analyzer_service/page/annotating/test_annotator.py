"""The annotator in a real browser; shapes are compared with the intended ones by shapely."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from shapely.geometry import shape

from analyzer_service.annotations.tile_names import tile_name
from tests.analyzer_service.clinical.runs import TileRun, make_tiles
from tests.analyzer_service.page.annotating.at_work import AtWork, circle, iou, polygon_of
from tests.analyzer_service.page.annotating.drawing import RUN
from tests.analyzer_service.page.serving import Served

SIZE = 128
CORNERS = [(20.0, 30.0), (90.0, 15.0), (110.0, 70.0), (60.0, 112.0), (15.0, 80.0)]
LEFT = [(20.0, 20.0), (70.0, 20.0), (70.0, 70.0), (20.0, 70.0)]
RIGHT = [(50.0, 40.0), (100.0, 40.0), (100.0, 90.0), (50.0, 90.0)]
SMALL = [(60.2, 60.4), (68.7, 61.3), (66.1, 69.9)]
FULL = "void (Storage.prototype.setItem = () => { throw new DOMException('full') })"
UNASKED = ("/maps", "/agreement", "others=true")
HOSTILE = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'


def keep_tiles(folder: Path, *names: str) -> None:
    """A run of colorful tiles of 128 x 128 pixels."""
    sizes = (None, 0.5)  # micrometers a pixel
    samples = [make_tiles(1, id=name, mpp=sizes[i])[0] for i, name in enumerate(names)]
    generator = np.random.default_rng(0)
    images = generator.integers(0, 255, (len(samples), SIZE, SIZE, 3), dtype=np.uint8)
    gates = generator.random((len(samples), 16, 16)).astype(np.float32)
    run = TileRun(folder)
    run.keep(samples, {"bam_48": gates, "bam_24": 1 - gates}, images=images)
    run.close()


@pytest.fixture(scope="module")
def output_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    keep_tiles(folder / f"auto_analysis_{RUN}", "s/a.png:0:0", "s/a.png:0:128")
    keep_tiles(folder / "auto_analysis_hostile", HOSTILE)
    return folder


@pytest.fixture(scope="module")
def served(output_dir: Path) -> Iterator[Served]:
    """One server for all tests here; each test is a reader of its own."""
    served = Served(output_dir, log=output_dir / "page.log")
    yield served
    served.close()


def test_a_polygon_lands_where_it_was_drawn_near_and_far(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "polygon")
    far = work.polygon(CORNERS)["features"][0]["geometry"]
    assert iou(far, polygon_of(CORNERS)) >= 0.99
    work.press("0")
    tab.mouse.move(*work.at((60, 60)))
    with work.seeing_anew():
        tab.mouse.wheel(0, -900)
    with work.seeing_anew():
        tab.keyboard.down("Space")
        work.drag((60, 60), (61, 60), (63, 61))
        tab.keyboard.up("Space")
    assert work.sight[2] < 0.12  # more than 8 screen pixels a pixel of the tile
    near = work.polygon(SMALL)["features"][1]["geometry"]
    assert iou(near, polygon_of(SMALL)) >= 0.99
    assert len(near["coordinates"][0]) == 4


def test_a_polygon_is_drawn_without_a_pointer(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "keys")
    x, y, resolution = work.sight
    side = 100 * resolution
    work.press("p")
    tab.locator(".canvas").focus()
    for arrow in ("ArrowUp", "ArrowRight", "ArrowDown", "ArrowLeft"):
        work.press(*[arrow] * 10, "Enter")
    with work.saved() as said:
        work.press("Enter")
    (drawn,) = said["features"]
    corners = [(x, y - side), (x + side, y - side), (x + side, y), (x, y)]
    assert iou(drawn["geometry"], polygon_of(corners)) >= 0.99
    work.press("o", "ArrowRight")
    with work.saved() as said:
        work.press("Enter")
    assert [each["geometry"]["type"] for each in said["features"]] == ["Polygon", "Point"]


def test_a_freehand_circle_is_a_circle(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "freehand")
    work.press("f", "2")
    around = circle(64, 64, 30, corners=40)
    with work.saved() as said:
        work.drag(*around)
    (feature,) = said["features"]
    assert iou(feature["geometry"], polygon_of(around)) >= 0.98
    assert feature["properties"]["classification"]["name"] == "stroma"


def test_edits_are_undone_and_done_again(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "edits")
    work.polygon(LEFT)
    work.press("e")
    with work.saved() as said:
        work.drag((70, 70), (90, 95))
    moved = polygon_of([*LEFT[:2], (90, 95), LEFT[3]])
    assert iou(said["features"][0]["geometry"], moved) >= 0.99
    with work.saved() as said:
        work.drag((20, 45), (10, 45))
    added = polygon_of([*LEFT[:2], (90, 95), LEFT[3], (10, 45)])
    assert iou(said["features"][0]["geometry"], added) >= 0.99
    with work.saved() as said:
        _alt_click(work, (10, 45))
    assert iou(said["features"][0]["geometry"], moved) >= 0.99
    work.press("v")
    with work.saved() as said:
        work.press("3")
    assert said["features"][0]["properties"]["classification"]["name"] == "necrosis"
    with work.saved() as said:
        work.press("Delete")
    assert said["features"] == []
    for _ in range(2):
        with work.saved() as said:
            work.press("Control+z")
    assert said["features"][0]["properties"]["classification"]["name"] == "tumor"
    for _ in range(3):
        with work.saved() as said:
            work.press("Control+z")
    assert iou(said["features"][0]["geometry"], polygon_of(LEFT)) >= 0.99
    with work.saved() as said:
        work.press("Control+Shift+Z")
    assert iou(said["features"][0]["geometry"], moved) >= 0.99


def _alt_click(work: AtWork, place: tuple[float, float]) -> None:
    work.tab.keyboard.down("Alt")
    work.click(place)
    work.tab.keyboard.up("Alt")


def test_union_and_subtraction_are_shapelys(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "union")
    work.polygon(LEFT)
    work.polygon(RIGHT)
    left, right = polygon_of(LEFT), polygon_of(RIGHT)
    work.press("Escape", "u")
    with work.saved() as said:
        work.click((30, 30))
        work.click((90, 80))
    (united,) = said["features"]
    assert iou(united["geometry"], left | right) >= 0.99
    work.press("s")
    hole = circle(60, 60, 8, corners=24)
    with work.saved() as said:
        work.drag(*hole)
    (cut,) = said["features"]
    assert iou(cut["geometry"], (left | right) - polygon_of(hole)) >= 0.99
    assert len(cut["geometry"]["coordinates"]) == 2
    with work.saved() as said:
        work.press("Control+z")
    with work.saved() as said:
        work.press("Control+z")
    found = sorted(shape(each["geometry"]).area for each in said["features"])
    assert found == pytest.approx([2500, 2500], rel=0.01)


def test_what_was_shown_is_asked_for_and_on_record(tab: Page, served: Served) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(request.url))
    work = AtWork(tab, served.url, "blind")
    before = work.polygon(LEFT)
    assert not [url for url in asked if any(part in url for part in UNASKED)]
    assert before["record"]["attention_shown_at"] is None
    work.press("a")
    with work.saved() as said:
        tab.get_by_role("button", name="Show it").click()
    assert said["record"]["attention_shown_at"] is not None
    badge = tab.locator(".badge").get_by_text("Attention was shown on this tile")
    expect(badge).to_be_visible()
    expect(tab.get_by_role("rowheader", name="tumor").first).to_be_visible()
    after = work.polygon(RIGHT)
    stamps = [each["properties"]["sidelight"]["attention_shown"] for each in after["features"]]
    assert stamps == [False, True]
    tab.get_by_role("button", name="Others’ marks").click()
    tab.get_by_role("button", name="Show them").click()
    expect(tab.locator(".badge").get_by_text("Others’ marks were shown")).to_be_visible()
    assert work.stored()["record"]["others_shown_at"] is not None
    work.press("n")
    expect(badge).to_have_count(0)


def test_the_scale_bar_says_what_it_measures(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "scale", tile=tile_name("s/a.png:0:0"))
    bar, ruler = tab.locator(".scale-bar"), tab.locator(".scale-bar .ruler")
    expect(bar).to_contain_text("20 px (pixel size not known)")
    assert ruler.bounding_box()["width"] == pytest.approx(20 / work.sight[2], abs=0.5)  # type: ignore[index]
    tab.goto(tab.url.partition("#")[0] + "#" + tile_name("s/a.png:0:128"))
    expect(bar).to_contain_text("10 µm")
    assert ruler.bounding_box()["width"] == pytest.approx(20 / work.sight[2], abs=0.5)  # type: ignore[index]


def test_the_record_is_kept_field_by_field(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, "record")
    with work.saved():
        tab.get_by_label("high").check()
    with work.saved():
        tab.get_by_label("Comment").fill("pale, but clear")
    with work.saved() as said:
        tab.get_by_role("button", name="Nothing here").click()
    record = said["record"]
    assert (record["confidence"], record["comment"]) == ("high", "pale, but clear")
    assert record["nothing"] is True
    expect(tab.get_by_text("1 of 2 done")).to_be_visible()
    with work.saved() as said:
        tab.get_by_label("Skip this tile").select_option("unsharp")
    assert (said["record"]["nothing"], said["record"]["skip_reason"]) == (False, "unsharp")


def test_what_the_server_refuses_keeps_nothing_else_back(browser: Browser, served: Served) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        tab = context.new_page()
        work = AtWork(tab, served.url, "refused")
        refuse_class(tab, "stroma")
        work.press("2")
        draw(work, LEFT)
        refusal = tab.get_by_role("alert").get_by_text("no stroma, please")
        expect(refusal).to_be_visible()
        work.press("3")
        said = work.polygon(RIGHT)
        assert [name_of(each) for each in said["features"]] == ["necrosis"]
        expect(tab.locator(".mark")).to_have_count(2)
        tab.get_by_role("button", name="Discard it").click()
        expect(tab.locator(".mark")).to_have_count(1)
        expect(refusal).to_have_count(0)


def test_a_full_local_storage_loses_nothing(browser: Browser, served: Served) -> None:
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        tab = context.new_page()
        work = AtWork(tab, served.url, "full")
        tab.evaluate(FULL)
        context.route("**/marks?*", lambda route: route.abort())
        draw(work, LEFT)
        expect(tab.get_by_text("kept in this browser")).to_be_visible()
        context.unroute_all()
        tab.reload()
        work.ready()
        (feature,) = _after_saving(work)
        assert iou(feature["geometry"], polygon_of(LEFT)) >= 0.99


def draw(work: AtWork, places: list[tuple[float, float]]) -> None:
    """Draw a polygon; whether it is saved is another question."""
    work.press("p")
    for place in places:
        work.click(place)
    work.press("Enter")


def refuse_class(tab: Page, name: str) -> None:
    """Answer changes that have marks of a class as the server would one that it does not take."""

    def answer(route: Route) -> None:
        if f'"name":"{name}"' in (route.request.post_data or ""):
            route.fulfill(status=422, json={"error": f"ops.0 (put): no {name}, please."})
        else:
            route.continue_()

    tab.route("**/marks?*", answer)


def name_of(feature: dict[str, Any]) -> str:
    return str(feature["properties"]["classification"]["name"])


def test_two_tabs_both_survive(tab: Page, served: Served) -> None:
    one = AtWork(tab, served.url, "twice")
    one.polygon(LEFT)
    two = AtWork(tab.context.new_page(), served.url, "twice", tile=one.tile)
    one.press("e")
    tab.mouse.move(*one.at((20, 20)))
    tab.mouse.down()
    tab.mouse.move(*one.at((10, 10)))
    two.press("e")
    two.click((30, 30))
    with two.saved():
        two.drag((20, 70), (20, 90))
    two.polygon(RIGHT)
    expect(tab.locator(".mark")).to_have_count(2)
    with one.saved() as said:
        tab.mouse.move(*one.at((5, 5)))
        tab.mouse.up()
    left, right = said["features"]
    assert iou(left["geometry"], polygon_of([(5, 5), *LEFT[1:]])) >= 0.99
    assert iou(right["geometry"], polygon_of(RIGHT)) >= 0.99
    two.press("v")
    two.click((90, 80))
    with two.saved() as said:
        two.press("Delete")
    expect(tab.locator(".mark")).to_have_count(1)


def test_no_script_runs_that_a_person_wrote(tab: Page, served: Served) -> None:
    work = AtWork(tab, served.url, HOSTILE, run="hostile")
    assert work.tile == tile_name(HOSTILE)
    tab.get_by_role("button", name="Change…").click()
    tab.get_by_label("Name of class 1").fill(HOSTILE)
    tab.get_by_role("button", name="Save classes").click()
    # As long as the dialog is open, whatever is typed goes to it.
    expect(tab.get_by_role("dialog")).to_have_count(0)
    with work.saved():
        tab.get_by_label("Comment").fill(HOSTILE)
        tab.get_by_label("Comment").blur()
    said = work.polygon(LEFT)
    assert said["features"][0]["properties"]["classification"]["name"] == HOSTILE
    tab.reload()
    work.ready()
    expect(tab.locator(".bar").get_by_role("button", name=HOSTILE)).to_be_visible()
    expect(tab.locator(".class .name").first).to_have_text(HOSTILE)
    expect(tab.get_by_label("Comment")).to_have_value(HOSTILE)
    tab.get_by_text("About this tile").click()
    broken: Any = tab.evaluate("window.broken")
    assert broken is None


def test_nothing_is_lost_while_the_server_is_away(
    browser: Browser, output_dir: Path, served: Served
) -> None:
    """The last one here, since it kills the server of all."""
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        work = AtWork(context.new_page(), served.url, "away")
        work.polygon(LEFT)
        served.process.kill()
        served.process.wait()
        work.press("p")
        for place in RIGHT:
            work.click(place)
        work.press("Enter")
        away = "Not saved: the server does not answer; kept in this browser"
        expect(work.tab.get_by_text(away)).to_be_visible()
        tile = work.tile
        work.tab.close()
        bind = served.url.removeprefix("http://").rstrip("/")
        again = Served(output_dir, "--bind", bind, log=output_dir / "again.log")
        try:
            tab = context.new_page()
            features = _after_saving(AtWork(tab, again.url, "away", tile=tile))
        finally:
            again.close()
    assert len(features) == 2
    assert iou(features[1]["geometry"], polygon_of(RIGHT)) >= 0.99


def _after_saving(work: AtWork) -> list[dict[str, Any]]:
    expect(work.tab.get_by_text("Saved", exact=True)).to_be_visible()
    features: list[dict[str, Any]] = work.stored()["features"]
    return features
