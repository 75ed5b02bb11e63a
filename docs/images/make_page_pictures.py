"""Makes the README's two pictures of the live page, from runs as `make demo` makes them.

``python docs/images/make_page_pictures.py RUN RUN`` takes the folders of a run whose charts are
shown, best one that still goes on, and of one that has ended, whose tile is marked. It asks for
the extra `test` (playwright) and for Chromium. Marks are made in a copy, so that the run's own
annotations stay as they are: brown tissue by its optical density as "epithelium", nuclei outside
of it as the analyzer finds them.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from skimage.color import rgb2hed
from skimage.filters import gaussian, threshold_otsu
from skimage.measure import approximate_polygon, find_contours, label, regionprops

from analyzer_service.analyses.nuclei import segment

HERE: Final = Path(__file__).parent
READER: Final = "Dr. Example"
CLASSES: Final = {
    "epithelium": (0, 158, 115),
    "stroma": (213, 94, 0),
    "nucleus": (86, 180, 233),
    "mucus": (240, 228, 66),
}
CHARTS: Final = "^(loss|ssim|psnr)$|entropy$|center|^sparsity"
_LARGEST_BYTES: Final = 400_000


def main(watched: Path, marked: Path) -> None:
    """Write both pictures beside this file."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as spare:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        copy = Path(spare) / marked.name
        shutil.copytree(marked, copy, ignore=shutil.ignore_patterns("annotations"))
        with _page_of(watched.parent) as url:
            _charts(chromium, f"{url}/runs/{quote(_name(watched))}")
        with _page_of(copy.parent) as url:
            _annotator(chromium, url, _name(marked))
        chromium.close()


def _name(run: Path) -> str:
    return run.name.removeprefix("auto_analysis_")


def _charts(chromium: Browser, url: str) -> None:
    tab = _tab(chromium, height=960)
    tab.goto(f"{url}#charts/filter={quote(CHARTS)}&smooth=0.85")
    tab.locator(".chart").nth(5).locator(".u-over").wait_for()
    tab.wait_for_function(_ALL_THERE)
    _save(tab, "page-charts.png")


def _annotator(chromium: Browser, url: str, run: str) -> None:
    tab = _tab(chromium, height=800)
    tab.goto(url)
    api = f"/api/runs/{quote(run)}/annotations"
    query = f"reader={quote(READER)}"
    tile = tab.request.get(f"{url}{api}/overview?{query}").json()["tiles"][0]["tile"]
    image = Image.open(BytesIO(tab.request.get(f"{url}{api}/tiles/{tile}/input.png").body()))
    ops = [_put(outline, name) for name, outline in _marks(np.asarray(image.convert("RGB")))]
    classes = [{"name": name, "color": color} for name, color in CLASSES.items()]
    tab.evaluate(_SEND, ["PUT", f"{api}/classes?{query}", {"classes": classes}])
    tab.evaluate(_SEND, ["POST", f"{api}/tiles/{tile}/marks?{query}", {"ops": ops}])
    tab.evaluate("name => localStorage.setItem('sidelight:reader', JSON.stringify(name))", READER)
    tab.goto(f"{url}/runs/{quote(run)}/annotate#{tile}")
    tab.locator('.canvas[data-sight]:not([data-sight=""])').wait_for()
    tab.keyboard.press("a")
    tab.get_by_role("button", name="Show it").click()
    tab.get_by_label("Opacity").fill("0.35")
    tab.get_by_role("radio", name="high").check()
    tab.get_by_text("Saved", exact=True).wait_for()
    tab.locator(".badge").get_by_text("Attention was shown").wait_for()
    _save(tab, "page-annotate.png")


_ALL_THERE: Final = """() => {
    const values = [...document.querySelectorAll(".legend strong")].map((each) => each.textContent);
    return values.length > 0 && !values.includes("–");
}"""
_SEND: Final = """async ([method, url, content]) => {
    const body = JSON.stringify(content);
    const answer = await fetch(url, {method, body,
        headers: {"Content-Type": "application/json"}});
    if (!answer.ok) throw new Error(await answer.text());
}"""


def _marks(image: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Names of classes and outlines, as (x, y), of a tile of shape (H, W, 3)."""
    brown = gaussian(rgb2hed(image)[..., 2], 3)
    numbered = label(brown > threshold_otsu(brown))
    largest = max(regionprops(numbered), key=lambda region: region.area).label
    yield "epithelium", _outline(numbered == largest, 1.0)
    for nucleus in regionprops(np.asarray(segment(image)), intensity_image=numbered > 0):
        if nucleus.intensity_mean == 0 and nucleus.solidity > 0.85:
            yield "nucleus", _outline(segment(image) == nucleus.label, 0.4)


def _outline(mask: np.ndarray, tolerance: float) -> np.ndarray:
    longest = max(find_contours(np.pad(mask, 1).astype(float), 0.5), key=len)
    inside = np.clip(longest - 0.5, 0, np.array(mask.shape))
    return approximate_polygon(inside, tolerance)[:, ::-1]


def _put(outline: np.ndarray, name: str) -> dict[str, Any]:
    """An operation of the annotator that adds a polygon."""
    feature = {
        "type": "Feature",
        "id": str(uuid.uuid4()),
        "geometry": {"type": "Polygon", "coordinates": [outline.tolist()]},
        "properties": {"classification": {"name": name}, "sidelight": {"tool": "polygon"}},
    }
    return {"op": "put", "op_id": str(uuid.uuid4()), "feature": feature}


def _tab(chromium: Browser, *, height: int) -> Page:
    tab = chromium.new_page(
        viewport={"width": 1280, "height": height}, color_scheme="light", locale="en-US"
    )
    tab.emulate_media(reduced_motion="reduce")
    return tab


def _save(tab: Page, name: str) -> None:
    picture = Image.open(BytesIO(tab.screenshot()))
    path = HERE / name
    picture.convert("RGB").save(path, optimize=True)
    if path.stat().st_size > _LARGEST_BYTES:
        picture.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


@contextmanager
def _page_of(output_dir: Path) -> Iterator[str]:
    """Address of the page over a folder, served as users do it."""
    command = [sys.executable, "-m", "analyzer_service", "page", "--output-dir", str(output_dir)]
    process = subprocess.Popen(
        [*command, "--bind", "127.0.0.1:0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if said := re.search(rb"page at (http://[^\s\"]+)", line):
                yield said[1].decode().rstrip("/")
                break
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main(*(Path(each).resolve() for each in sys.argv[1:3]))
