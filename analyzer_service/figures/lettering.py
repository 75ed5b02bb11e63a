"""The few letterings of the dashboard, in DejaVu Sans, and the widths of what they write."""

import unicodedata
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from analyzer_service.figures.glyphs import characters
from analyzer_service.figures.typesetting import line_width

Align = Literal["left", "center", "right"]

INK = "#1c2733"
MUTED = "#64707d"
FAINT = "#d5dae0"
MAT = "#f3f5f7"
GOOD = "#12703f"
BAD = "#b5341b"


@dataclass(frozen=True)
class Lettering:
    """How a line is written; `pixels` is the font's size."""

    pixels: float
    color: str = INK
    bold: bool = False
    align: Align = "left"

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
    return line_width(text, lettering.pixels, bold=lettering.bold)


@lru_cache(maxsize=1024)
def plain(text: str) -> str:
    """`text` on one line, with ``?`` for every character that the font cannot draw.

    Examples
    --------
    >>> plain("tile\\t1"), plain("组织 7")
    ('tile 1', '?? 7')
    """
    line = (
        " " if unicodedata.category(char).startswith("Z") or char in "\t\r\n" else char
        for char in text
    )
    return "".join(char if _visible(char) else "?" for char in line)


def _visible(char: str) -> bool:
    return ord(char) in characters() and not unicodedata.category(char).startswith(("C", "M"))
