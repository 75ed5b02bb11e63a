"""A reader at work in a real browser: what they press and draw, by places in the tile."""

import json
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from playwright.sync_api import Page, Response, expect
from shapely import Polygon
from shapely.geometry import shape

from tests.analyzer_service.page.annotating.drawing import RUN

Place = tuple[float, float]
SETTLED: Final = '.canvas[data-sight]:not([data-sight=""])'


class AtWork:
    """One tab with the annotator of a run, opened for a reader."""

    def __init__(
        self, tab: Page, url: str, reader: str, *, run: str = RUN, tile: str | None = None
    ) -> None:
        self.tab, self.url, self.reader, self.run = tab, url.rstrip("/"), reader, run
        tab.emulate_media(reduced_motion="reduce")
        tab.goto(f"{self.url}/runs/{run}/annotate" + (f"#{tile}" if tile else ""))
        name = tab.get_by_label("Your name")
        expect(name.or_(tab.locator(SETTLED))).to_be_visible()
        if name.is_visible():
            name.fill(reader)
            tab.get_by_role("button", name="Start").click()
        self.ready()

    def ready(self) -> None:
        """Wait until the tile and its marks are there."""
        expect(self.tab.locator(SETTLED)).to_be_visible()
        expect(self.tab.get_by_role("heading", name="Marks", exact=True)).to_be_visible()

    @property
    def sight(self) -> tuple[float, float, float]:
        """Middle of what is seen, in pixels of the tile, and tile pixels a screen pixel."""
        x, y, resolution = map(float, str(self._canvas.get_attribute("data-sight")).split())
        return x, y, resolution

    def at(self, place: Place) -> Place:
        """Where a place of the tile is on the screen."""
        (x, y, resolution), box = self.sight, self._canvas.bounding_box()
        assert box is not None
        return (
            box["x"] + box["width"] / 2 + (place[0] - x) / resolution,
            box["y"] + box["height"] / 2 + (place[1] - y) / resolution,
        )

    def press(self, *keys: str) -> None:
        for key in keys:
            self.tab.keyboard.press(key)

    def click(self, place: Place, **options: Any) -> None:
        self.tab.mouse.click(*self.at(place), **options)

    def polygon(self, places: Sequence[Place]) -> dict[str, Any]:
        """Draw a polygon, end it with Enter; what the server has then."""
        self.press("p")
        with self.saved() as said:
            for place in places:
                self.click(place)
            self.press("Enter")
        return said

    def drag(self, *places: Place) -> None:
        """Press, go from place to place, let go."""
        self.tab.mouse.move(*self.at(places[0]))
        self.tab.mouse.down()
        for place in places[1:]:
            self.tab.mouse.move(*self.at(place))
        self.tab.mouse.up()

    @contextmanager
    def saved(self) -> Iterator[dict[str, Any]]:
        """Waits for the answer to a change; it is filled into what is given."""
        said: dict[str, Any] = {}
        with self.tab.expect_response(_is_change) as answer:
            yield said
        assert answer.value.ok, answer.value.text()
        said.update(answer.value.json())

    @contextmanager
    def seeing_anew(self) -> Iterator[None]:
        """Waits until another part of the tile is seen."""
        before = self._canvas.get_attribute("data-sight")
        assert before is not None
        yield
        expect(self._canvas).not_to_have_attribute("data-sight", re.compile(re.escape(before)))

    def stored(self) -> dict[str, Any]:
        """What the server has of the open tile."""
        path = f"{self.url}/api/runs/{self.run}/annotations/tiles/{self.tile}/marks"
        answer = self.tab.request.get(path, params={"reader": self.reader})
        assert answer.ok, answer.text()
        content: dict[str, Any] = json.loads(answer.text())
        return content

    @property
    def tile(self) -> str:
        """Name of the open tile."""
        return str(self.tab.evaluate("decodeURIComponent(location.hash.slice(1))"))

    @property
    def _canvas(self) -> Any:
        return self.tab.locator(".canvas")


def iou(stored: Any, intended: Any) -> float:
    """Intersection over union, by shapely."""
    one, other = shape(stored), shape(intended)
    return float(one.intersection(other).area / one.union(other).area)


def circle(x: float, y: float, radius: float, corners: int = 72) -> list[Place]:
    """Places along a circle, not closed."""
    turns = [2 * math.pi * i / corners for i in range(corners)]
    return [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]


def polygon_of(places: Sequence[Place]) -> Polygon:
    return Polygon(places)


def _is_change(response: Response) -> bool:
    return response.request.method == "POST" and "/marks?" in response.url
