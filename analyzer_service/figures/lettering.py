"""The few letterings of the dashboard, in DejaVu Sans, and the widths of what they write."""

import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties, get_font

INK = "#1c2733"
MUTED = "#64707d"
FAINT = "#d5dae0"
MAT = "#f3f5f7"
GOOD = "#12703f"
BAD = "#b5341b"

DPI = 100

_POINTS_PER_PIXEL = 72 / DPI
_FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@dataclass(frozen=True)
class Lettering:
    """How a line is written; `pixels` is the font's size."""

    pixels: float
    color: str = INK
    bold: bool = False
    align: str = "left"

    def font(self) -> FontProperties:
        """The font file and size for matplotlib."""
        size = self.pixels * _POINTS_PER_PIXEL
        return FontProperties(fname=_font_file(bold=self.bold), size=size)

    def right(self) -> "Lettering":
        """The same, ending at its anchor."""
        return replace(self, align="right")

    def center(self) -> "Lettering":
        """The same, centered on its anchor."""
        return replace(self, align="center")

    def colored(self, color: str) -> "Lettering":
        """The same in another color."""
        return replace(self, color=color)


HEADING = Lettering(21, bold=True)
TITLE = Lettering(15.5, bold=True)
BODY = Lettering(13.5)
STRONG = Lettering(13.5, bold=True)
CAPTION = Lettering(12.5, MUTED)
SMALL = Lettering(11.5, MUTED)
FIGURE = Lettering(17)


def text_width(text: str, lettering: Lettering) -> float:
    """Width of one line in pixels, exactly as it will be drawn."""
    size = _ruler().get_text_width_height_descent(  # type: ignore[no-untyped-call]
        text, lettering.font(), False
    )
    return float(size[0])


@lru_cache(maxsize=1)
def _ruler() -> RendererAgg:
    return RendererAgg(1, 1, DPI)  # type: ignore[no-untyped-call]


@lru_cache(maxsize=1024)
def plain(text: str) -> str:
    """`text` on one line, with ``?`` for every character that the font cannot draw.

    Examples
    --------
    >>> plain("tile\\t1"), plain("组织 7")
    ('tile 1', '?? 7')
    """
    known = _characters()
    line = (
        " " if unicodedata.category(char).startswith("Z") or char in "\t\r\n" else char
        for char in text
    )
    return "".join(char if ord(char) in known else "?" for char in line)


@lru_cache(maxsize=1)
def _characters() -> frozenset[int]:
    both = [get_font(_font_file(bold=bold)).get_charmap() for bold in (False, True)]
    return frozenset(code for code in both[0] if code in both[1] and _visible(code))


def _visible(code: int) -> bool:
    return not unicodedata.category(chr(code)).startswith(("C", "M"))


def _font_file(*, bold: bool) -> str:
    return str(_FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"))
