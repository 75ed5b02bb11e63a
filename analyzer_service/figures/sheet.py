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
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from analyzer_service.figures.lettering import BODY, DPI, Lettering, plain, text_width
from analyzer_service.figures.wording import shorten
from shared.errors import SinkError

WIDTH = 1600
HEIGHT = 1030

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


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn; `dots` marks each point too."""

    color: str
    pixels: float
    alpha: float = 1.0
    dots: bool = False


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

    def image(self, at: Box, image: NDArray[np.uint8], name: str) -> None:
        """Show an RGB image pixel for pixel, its top left corner at that of `at`."""
        left, bottom = round(at.x), HEIGHT - round(at.y) - image.shape[0]
        self.figure.figimage(image, left, bottom, origin="upper", label=name, zorder=0)

    def line(self, points: NDArray[np.float64], stroke: Stroke) -> None:
        """Draw a line through `points` (N, 2) in pixels; NaN interrupts it."""
        self.figure.add_artist(
            Line2D(
                points[:, 0],
                points[:, 1],
                color=stroke.color,
                alpha=stroke.alpha,
                linewidth=stroke.pixels * 72 / DPI,
                marker="o" if stroke.dots else "",
                markersize=4,
                markeredgewidth=0,
                transform=self._pixels + self.figure.transFigure,
                zorder=2,
            )
        )

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
    # Letters keep their drawn shapes: at 13 px the font's own hints turn bold into a serif.
    with matplotlib.rc_context(ours | {"text.hinting": "none"}):
        yield
