"""A drawing sheet in pixels from the top left, over matplotlib's object API.

Neither pyplot nor the font cache is used: fonts come from the files that matplotlib ships, so
the same drawing gives the same bytes in every process.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import cv2
import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from analyzer_service.figures.lettering import BODY, Lettering, plain, text_width
from analyzer_service.figures.wording import shorten
from shared.errors import SinkError

WIDTH = 1600
HEIGHT = 1030
DPI = 100

_RC_GROUPS = ("agg", "axes", "figure", "font", "image", "lines", "patch", "path", "text")


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels; `x` and `y` are its top left corner."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Bottom edge."""
        return self.y + self.height

    def centered(self, width: float, height: float) -> "Box":
        """A box of that size in the middle of this one."""
        left = self.x + (self.width - width) / 2
        return Box(left, self.y + (self.height - height) / 2, width, height)


class Sheet:
    """One figure of 1600 by 1030 px with its own canvas."""

    def __init__(self) -> None:
        self.figure = Figure(figsize=(WIDTH / DPI, HEIGHT / DPI), dpi=DPI, facecolor="white")
        self._canvas = FigureCanvasAgg(self.figure)
        self._pixels = Affine2D().scale(1 / WIDTH, -1 / HEIGHT).translate(0, 1)

    def text(
        self,
        at: tuple[float, float],
        text: str,
        lettering: Lettering = BODY,
        *,
        width: float | None = None,
    ) -> Text:
        """Write one line; `at` is its anchor on the baseline.

        What the font lacks becomes ``?``; what is wider than `width` loses its middle.
        """
        text = plain(text)
        if width is not None:
            text = shorten(text, lambda part: text_width(part, lettering) <= width)
        return self.figure.text(
            *at,
            text,
            transform=self._pixels + self.figure.transFigure,
            color=lettering.color,
            ha=lettering.align,
            va="baseline",
            fontproperties=lettering.font(),
            parse_math=False,
        )

    def axes(self, box: Box, name: str) -> Axes:
        """Bare axes that fill `box`: no ticks, no frame, labeled `name`."""
        bounds = (box.x / WIDTH, 1 - box.bottom / HEIGHT, box.width / WIDTH, box.height / HEIGHT)
        axes = self.figure.add_axes(bounds, label=name)
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
        return axes

    def image(self, box: Box, image: NDArray[np.uint8], name: str) -> Axes:
        """Show an RGB image that already has the size of `box`."""
        axes = self.axes(Box(round(box.x), round(box.y), box.width, box.height), name)
        axes.imshow(image, interpolation="nearest", aspect="auto")
        return axes

    def fill(self, box: Box, color: str, *, under: bool = False) -> None:
        """Fill `box` with one color, above images and charts unless it goes `under` them."""
        patch = Rectangle((box.x, box.y), box.width, box.height)
        self._add(patch, color, -1 if under else 1)

    def polygon(self, points: Sequence[tuple[float, float]], color: str) -> None:
        """Fill a polygon above images and charts."""
        self._add(Polygon(points, closed=True), color, 1)

    def png(self) -> bytes:
        """Draw everything; PNG bytes without metadata."""
        self._canvas.draw()  # type: ignore[no-untyped-call]
        rgba = np.asarray(self._canvas.buffer_rgba())  # type: ignore[no-untyped-call]
        bgr = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGR)
        done, encoded = cv2.imencode(".png", bgr, (cv2.IMWRITE_PNG_COMPRESSION, 4))
        if not done:
            raise SinkError("the dashboard could not be encoded as PNG")
        return encoded.tobytes()

    def _add(self, patch: Rectangle | Polygon, color: str, order: int) -> None:
        patch.set(facecolor=color, edgecolor="none", zorder=order)
        patch.set_transform(self._pixels + self.figure.transFigure)
        self.figure.add_artist(patch)


@contextmanager
def own_settings() -> Iterator[None]:
    """Hide the user's matplotlib settings while a figure is made and drawn."""
    defaults = matplotlib.rcParamsDefault
    ours = {key: defaults[key] for key in defaults if key.split(".")[0] in _RC_GROUPS}
    with matplotlib.rc_context(ours):
        yield
