"""Letters of DejaVu Sans: how far they reach, and the pixels that their outlines cover.

Laying text out and drawing it letter by letter is most of what a dashboard costs, and a
dashboard writes the same few letters again and again: each is drawn once in each size and kept.
Outlines are used unhinted, since at 13 px the font's hints turn bold into a serif.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from threading import Lock

import matplotlib
import numpy as np
from matplotlib.backend_bases import GraphicsContextBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.ft2font import FT2Font, Kerning, LoadFlags
from matplotlib.path import Path as Outline
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

PHASES = 4
"""Places within a pixel at which a letter can start."""

_FILES = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
_ABOVE, _BELOW, _WIDE = 1.3, 0.5, 2.5  # room of a letter, in font sizes
_LENGTH = 64  # of the font's own unit in an outline as matplotlib reads it
_FONT_IN_USE = Lock()  # a font holds one letter at a time


@dataclass(frozen=True)
class Coverage:
    """Pixels that ink covers.

    Attributes
    ----------
    share : ndarray of shape (H, W), uint8
        0 is bare, 255 covered.
    left : int
        Column of the first pixel, counted from the pen.
    top : int
        Row of the first pixel, counted downward from the baseline: negative above it.
    """

    share: NDArray[np.uint8]
    left: int
    top: int


@lru_cache(maxsize=1)
def characters() -> frozenset[int]:
    """Code points that the font has in both weights."""
    return frozenset(_font(bold=False).get_charmap()) & frozenset(_font(bold=True).get_charmap())


def advance(char: str, *, bold: bool) -> float:
    """How far the pen moves on after a letter, in font sizes."""
    return _letter(char, bold=bold)[1]


@lru_cache(maxsize=8192)
def kerning(left: str, right: str, *, bold: bool) -> float:
    """What the gap between two letters is widened by, in font sizes; mostly 0 or negative."""
    with _FONT_IN_USE:
        font = _font(bold=bold)
        pair = font.get_char_index(ord(left)), font.get_char_index(ord(right))
        return font.get_kerning(*pair, Kerning.UNSCALED) / font.units_per_EM


@lru_cache(maxsize=8192)
def glyph(char: str, pixels: float, phase: int, *, bold: bool) -> Coverage:
    """Draw a letter of size `pixels` whose pen stands `phase` quarters into a pixel."""
    above, margin = math.ceil(_ABOVE * pixels), math.ceil(0.5 * pixels)
    width, height = math.ceil(_WIDE * pixels) + margin, above + math.ceil(_BELOW * pixels)
    renderer = RendererAgg(width, height, 72)  # type: ignore[no-untyped-call]
    context: GraphicsContextBase = renderer.new_gc()
    context.set_linewidth(0)
    context.set_snap(False)  # a stem is not drawn thicker where it meets whole pixels
    place = Affine2D().scale(pixels).translate(margin + phase / PHASES, height - above)
    outline = _letter(char, bold=bold)[0]
    renderer.draw_path(context, outline, place, (0.0, 0.0, 0.0, 1.0))  # type: ignore[no-untyped-call]
    share = np.asarray(renderer.buffer_rgba())[..., 3]  # type: ignore[no-untyped-call]
    return _cropped(Coverage(share, -margin, -above))


@lru_cache(maxsize=2048)
def _letter(char: str, *, bold: bool) -> tuple[Outline, float]:
    with _FONT_IN_USE:
        font = _font(bold=bold)
        found = font.load_char(ord(char), flags=LoadFlags.NO_SCALE)
        vertices, codes = font.get_path()
    size = font.units_per_EM
    return Outline(vertices * (_LENGTH / size), codes), found.horiAdvance / size


@lru_cache(maxsize=2)
def _font(*, bold: bool) -> FT2Font:
    return FT2Font(str(_FILES / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")))


def _cropped(whole: Coverage) -> Coverage:
    rows, columns = (np.flatnonzero(whole.share.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return Coverage(np.zeros((0, 0), np.uint8), 0, 0)
    inked = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left, top = whole.left + int(columns[0]), whole.top + int(rows[0])
    return Coverage(whole.share[inked].copy(), left, top)
