"""Two columns of names and values."""

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.lettering import BODY, INK, MUTED, SMALL, text_width
from analyzer_service.figures.sheet import Sheet
from analyzer_service.figures.wording import UNDEFINED

Facts = list[tuple[str, str]]

_GAP = 28
_SPACE = 8
_DESCENT = 5


def draw_facts(sheet: Sheet, box: Box, columns: tuple[Facts, Facts], pitch: float) -> None:
    """Write each column in its half of `box`, from its top, a line every `pitch` pixels."""
    width = (box.width - _GAP) / 2
    for column, facts in enumerate(columns):
        left = box.x + column * (width + _GAP)
        for index, (label, value) in enumerate(facts):
            y = box.y + (index + 1) * pitch - _DESCENT
            lettering = BODY.colored(MUTED if value == UNDEFINED else INK)
            sheet.text((left + width, y), value, lettering.right())
            sheet.text((left, y), label, SMALL, width=width - text_width(value, lettering) - _SPACE)
