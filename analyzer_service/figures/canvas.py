"""Pixels to paint on: boxes, images, lines and text, over matplotlib's Agg renderer.

No figure and no artist is made: they cost more than the painting, and hold on to their pixels
in rings. Nor does any setting of matplotlib's count: the same strokes give the same bytes in
every process.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.glyphs import Coverage
from shared.errors import SinkError

# Enlarged tiles repeat their rows, so that the filter "up" alone does nearly as well as libpng's
# choice among all filters, in half the time.
_PNG = (cv2.IMWRITE_PNG_COMPRESSION, 4, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP)

_POINTS_PER_INCH = 72  # as many as pixels: matplotlib's points are pixels here
_DOT = Path.unit_circle()
_DOT_SIZE = Affine2D().scale(2.8)


@dataclass(frozen=True)
class Stroke:
    """How a line is drawn; `dots` marks each point too."""

    color: str
    pixels: float
    alpha: float = 1.0
    dots: bool = False


class Canvas:
    """White pixels, `width` by `height`, to paint on."""

    def __init__(self, width: int, height: int) -> None:
        self._renderer = RendererAgg(width, height, _POINTS_PER_INCH)  # type: ignore[no-untyped-call]
        self._rgba = np.asarray(self._renderer.buffer_rgba())  # type: ignore[no-untyped-call]
        self._rgba[:] = 255
        self._upright = Affine2D().scale(1, -1).translate(0, height)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """What is painted, (H, W, 3); a view."""
        return self._rgba[..., :3]

    def fill(self, box: Box, color: str) -> None:
        """Fill the pixels whose centers lie in `box`."""
        left, top, right, bottom = (
            max(0, math.floor(edge + 0.5)) for edge in (box.x, box.y, box.right, box.bottom)
        )
        self.pixels[top:bottom, left:right] = _bytes(color)

    def fill_polygon(self, points: Sequence[tuple[float, float]], color: str) -> None:
        """Fill a polygon, its corners in pixels."""
        self._draw(Path([*points, points[0]], closed=True), Stroke(color, 0.0), filled=True)

    def line(self, points: NDArray[np.float64], stroke: Stroke) -> None:
        """Draw a line through `points` (N, 2) in pixels; NaN interrupts it."""
        self._draw(Path(points), stroke)
        if stroke.dots:
            known = Path(points[np.isfinite(points).all(axis=1)])
            context, color = self._context(stroke.color), to_rgb(stroke.color)
            self._renderer.draw_markers(context, _DOT, _DOT_SIZE, known, self._upright, color)

    def image(self, image: NDArray[np.uint8], left: int, top: int) -> None:
        """Show an RGB image pixel for pixel."""
        height, width = image.shape[:2]
        self.pixels[top : top + height, left : left + width] = image

    def ink(self, coverage: Coverage, at: tuple[int, int], color: str) -> None:
        """Cover pixels with ink; `at` is the pen, (column, row of the baseline)."""
        left, top = at[0] + coverage.left, at[1] + coverage.top
        rows, columns = slice(max(0, -top), None), slice(max(0, -left), None)
        under = self.pixels[max(0, top) :, max(0, left) :]
        share = coverage.share[rows, columns][: under.shape[0], : under.shape[1], None]
        under = under[: share.shape[0], : share.shape[1]]
        mixed = under * (255 - share.astype(np.uint16)) + share * _bytes(color).astype(np.uint16)
        under[:] = (mixed + 127) // 255

    def png(self) -> bytes:
        """PNG bytes without metadata."""
        bgr = cv2.cvtColor(self._rgba, cv2.COLOR_RGBA2BGR)
        done, encoded = cv2.imencode(".png", bgr, _PNG)
        if not done:
            raise SinkError("the dashboard could not be encoded as PNG")
        return encoded.tobytes()

    def _draw(self, path: Path, stroke: Stroke, *, filled: bool = False) -> None:
        path.should_simplify = False
        context = self._context(stroke.color, stroke.alpha)
        context.set_linewidth(stroke.pixels)
        inside = to_rgb(stroke.color) if filled else None
        self._renderer.draw_path(context, path, self._upright, inside)  # type: ignore[no-untyped-call]

    def _context(self, color: str, alpha: float = 1.0) -> GraphicsContextBase:
        context: GraphicsContextBase = self._renderer.new_gc()
        context.set_foreground(to_rgba(color, alpha), isRGBA=True)
        context.set_linewidth(0.0)
        context.set_capstyle("projecting")
        context.set_snap(False)
        return context


def _bytes(color: str) -> NDArray[np.uint8]:
    return np.array([round(255 * part) for part in to_rgb(color)], dtype=np.uint8)
