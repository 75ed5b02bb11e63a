"""Where the six panels lie, and what every panel has: a title, a caption, room for content."""

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.lettering import (
    BODY,
    CAPTION,
    MAT,
    SMALL,
    TITLE,
    plain,
    text_width,
)
from analyzer_service.figures.sheet import Sheet
from analyzer_service.figures.wording import pixel_size, place, shorten

MARGIN = 34
COLUMN = 489
GUTTER = 32
TOP = 76
HEIGHTS = (454, 476)
GAP = 26
IMAGE = 384
SIDE = IMAGE + 16

_CONTENT = 46


def panel_box(row: int, column: int) -> Box:
    """The room of the panel in that row (0, 1) and column (0 to 2)."""
    top = TOP + sum(HEIGHTS[:row]) + row * GAP
    return Box(MARGIN + column * (COLUMN + GUTTER), top, COLUMN, HEIGHTS[row])


def open_panel(sheet: Sheet, box: Box, title: str, caption: str) -> Box:
    """Write a panel's title and caption; return the room of its content."""
    sheet.text((box.x, box.y + 14), title, TITLE, width=box.width)
    sheet.text((box.x, box.y + 35), caption, CAPTION, width=box.width)
    return Box(box.x, box.y + _CONTENT, box.width, IMAGE)


def footnote(sheet: Sheet, box: Box, text: str) -> None:
    """Write the small line below a panel's image."""
    sheet.text((box.x, box.y + _CONTENT + IMAGE + 20), text, SMALL, width=box.width)


def tile_caption(data: DashboardData) -> str:
    """Which tile is shown: source, position, pixel size; the source is cut to fit the line."""
    sample = data.sample
    if sample is None:
        return ""
    rest = f" · {place(sample)} · {pixel_size(data.mpp)}"
    return fitted(sample.source or sample.id, COLUMN - text_width(rest, CAPTION)) + rest


def fitted(text: str, width: float) -> str:
    """`text` in the caption's lettering, cut in its middle to `width` pixels."""
    text = plain(text)
    return shorten(text, lambda part: text_width(part, CAPTION) <= width)


def image_room(content: Box) -> Box:
    """The square in which a panel shows its image."""
    return Box(content.x, content.y, IMAGE, IMAGE)


def draw_missing(sheet: Sheet, content: Box, lines: tuple[str, str]) -> None:
    """Say calmly why there is no image: a headline and a reason."""
    room = image_room(content)
    sheet.fill(room, MAT)
    middle = room.y + room.height / 2
    sheet.text((room.x + IMAGE / 2, middle - 4), lines[0], BODY.center())
    sheet.text((room.x + IMAGE / 2, middle + 18), lines[1], SMALL.center())
