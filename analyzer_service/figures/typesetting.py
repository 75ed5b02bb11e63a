"""One line of text: its width, and the pixels that it covers.

Letters follow each other from left to right with the font's kerning, without ligatures.
"""

from functools import lru_cache

import numpy as np

from analyzer_service.figures.glyphs import PHASES, Coverage, advance, glyph, kerning


@lru_cache(maxsize=4096)
def line_width(text: str, pixels: float, *, bold: bool) -> float:
    """How far the pen moves over `text` in a font of size `pixels`."""
    return pixels * _pens(text, bold=bold)[-1]


@lru_cache(maxsize=2048)
def set_line(text: str, pixels: float, phase: int, *, bold: bool) -> Coverage:
    """Draw a line whose first letter starts `phase` quarters into a pixel."""
    letters = []
    for char, pen in zip(text, _pens(text, bold=bold), strict=False):
        whole, part = divmod(round(pen * pixels * PHASES) + phase, PHASES)
        letter = glyph(char, pixels, part, bold=bold)
        letters.append(Coverage(letter.share, whole + letter.left, letter.top))
    return _joined([letter for letter in letters if letter.share.size])


def _pens(text: str, *, bold: bool) -> list[float]:
    """Where each letter starts and, last, where the line ends, in font sizes."""
    pens = [0.0]
    for index, char in enumerate(text):
        if index:
            pens[-1] += kerning(text[index - 1], char, bold=bold)
        pens.append(pens[-1] + advance(char, bold=bold))
    return pens


def _joined(letters: list[Coverage]) -> Coverage:
    if not letters:
        return Coverage(np.zeros((0, 0), np.uint8), 0, 0)
    left, top = min(one.left for one in letters), min(one.top for one in letters)
    right = max(one.left + one.share.shape[1] for one in letters)
    bottom = max(one.top + one.share.shape[0] for one in letters)
    share = np.zeros((bottom - top, right - left), np.uint8)
    for one in letters:
        (rows, columns), y, x = one.share.shape, one.top - top, one.left - left
        under = share[y : y + rows, x : x + columns]
        np.maximum(under, one.share, out=under)
    return Coverage(share, left, top)
