"""A drawing sheet in pixels from the top left: what lies on it, and how it is painted.

Whatever the order of the calls, boxes that go under everything are painted first, then images,
boxes, lines and, at last, text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.canvas import Canvas, Stroke
from analyzer_service.figures.glyphs import PHASES
from analyzer_service.figures.lettering import BODY, Lettering, plain, text_width
from analyzer_service.figures.typesetting import set_line
from analyzer_service.figures.wording import shorten

WIDTH = 1600
HEIGHT = 1052

_Stroke = Callable[[Canvas], None]

_ALIGNED = {"left": 0.0, "center": 0.5, "right": 1.0}
_ASCENT, _LINE = 0.76, 1.0  # of a line with an l and a p, in font sizes


@dataclass(frozen=True)
class Written:
    """One line of text; `x` and `y` are where its baseline starts."""

    text: str
    x: float
    y: float
    lettering: Lettering

    @property
    def box(self) -> Box:
        """The room that it takes, whatever its letters."""
        size = self.lettering.pixels
        width = text_width(self.text, self.lettering)
        return Box(self.x, round(self.y) - _ASCENT * size, width, _LINE * size)


@dataclass(frozen=True)
class Picture:
    """An RGB image (H, W, 3), uint8, its top left pixel at `x` and `y`."""

    name: str
    image: NDArray[np.uint8]
    x: int
    y: int

    @property
    def box(self) -> Box:
        """The room that it takes."""
        height, width = self.image.shape[:2]
        return Box(self.x, self.y, width, height)


class Sheet:
    """What a dashboard of 1600 by 1052 px is made of.

    Attributes
    ----------
    written : list of Written
        What is written.
    pictures : list of Picture
        What is shown.
    """

    def __init__(self) -> None:
        self.written: list[Written] = []
        self.pictures: list[Picture] = []
        self._under: list[_Stroke] = []
        self._over: list[_Stroke] = []
        self._curves: list[_Stroke] = []

    def text(
        self,
        at: tuple[float, float],
        text: str,
        lettering: Lettering = BODY,
        *,
        width: float | None = None,
    ) -> Written:
        """Write one line; `at` is its anchor on the baseline.

        What the font lacks becomes ``?``; what is wider than `width` loses its middle.
        """
        text = plain(text)
        if width is not None:
            text = shorten(text, lambda part: text_width(part, lettering) <= width)
        before = _ALIGNED[lettering.align] * text_width(text, lettering)
        line = Written(text, at[0] - before, at[1], lettering)
        self.written.append(line)
        return line

    def image(self, at: Box, image: NDArray[np.uint8], name: str) -> None:
        """Show an RGB image pixel for pixel, its top left corner at that of `at`."""
        self.pictures.append(Picture(name, image, round(at.x), round(at.y)))

    def line(self, points: NDArray[np.float64], stroke: Stroke) -> None:
        """Draw a line through `points` (N, 2) in pixels; NaN interrupts it."""
        self._curves.append(partial(Canvas.line, points=points, stroke=stroke))

    def fill(self, box: Box, color: str, *, under: bool = False) -> None:
        """Fill `box` with one color, above images and charts unless it goes `under` them."""
        strokes = self._under if under else self._over
        strokes.append(partial(Canvas.fill, box=box, color=color))

    def polygon(self, points: Sequence[tuple[float, float]], color: str) -> None:
        """Fill a polygon above images and charts."""
        self._over.append(partial(Canvas.fill_polygon, points=points, color=color))

    def paint(self) -> Canvas:
        """Paint everything."""
        canvas = Canvas(WIDTH, HEIGHT)
        for stroke in self._under:
            stroke(canvas)
        for picture in self.pictures:
            canvas.image(picture.image, picture.x, picture.y)
        for stroke in (*self._over, *self._curves):
            stroke(canvas)
        for line in self.written:
            _ink(canvas, line)
        return canvas


def _ink(canvas: Canvas, line: Written) -> None:
    whole, phase = divmod(round(line.x * PHASES), PHASES)
    lettering = line.lettering
    coverage = set_line(line.text, lettering.pixels, phase, bold=lettering.bold)
    canvas.ink(coverage, (whole, round(line.y)), lettering.color)
