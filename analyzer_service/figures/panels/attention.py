"""Panel 4: where the primary layer attends, over the tile; the other layers as small maps."""

import math

import numpy as np
from numpy.typing import NDArray

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.colormaps import (
    ATTENTION_COLORS,
    attention_image,
    dimmed_image,
    luminance,
)
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.gates import GateView, view_gate
from analyzer_service.figures.lettering import INK, MAT, SMALL, text_width
from analyzer_service.figures.outlines import ON_ATTENTION, outlined
from analyzer_service.figures.panels.layout import (
    COLUMN,
    SIDE,
    draw_missing,
    footnote,
    image_room,
    open_panel,
    tile_caption,
)
from analyzer_service.figures.panels.legend import draw_color_bar, draw_outline_key
from analyzer_service.figures.scaling import scaled, shown_size, smooth
from analyzer_service.figures.sheet import Sheet
from analyzer_service.figures.wording import number

_BAR = 160
_TICKS = {0.0: "0  none", 0.25: "1× uniform", 0.5: "2×", 0.75: "3×", 1.0: "4× strong"}
_THUMBNAILS = 3
_LABEL = 21
_KEY = 44


def draw_attention(sheet: Sheet, box: Box, data: DashboardData) -> None:
    """Draw panel 4."""
    layer = data.layers[0] if data.layers else data.primary
    title = f"Attention · {layer}" if layer else "Attention"
    content = open_panel(sheet, box, title, tile_caption(data))
    if data.frame is None or data.sample is None:
        draw_missing(sheet, content, _missing(data))
        return
    if not data.layers:
        draw_missing(sheet, content, ("no attention map", "no attention layer is watched"))
        return
    first, *others = data.layers
    gray = luminance(data.frame.input[0]).astype(np.float32)
    view = view_gate(data.frame.attention[first][0])
    shown = _draw_map(sheet, image_room(content), gray, (first, view), nuclei=data.nuclei)
    _draw_remark(sheet, shown, view)
    _draw_scale(sheet, content)
    if data.nuclei is not None and data.nuclei.any():
        _draw_nuclei_key(sheet, content)
    for index, name in enumerate(others[:_THUMBNAILS]):
        small = view_gate(data.frame.attention[name][0])
        _draw_thumbnail(sheet, content, gray, (name, small), (index, len(others[:_THUMBNAILS])))
    footnote(sheet, box, _explanation(view, len(others) - _THUMBNAILS))


def _missing(data: DashboardData) -> tuple[str, str]:
    if data.count("samples"):
        return "images not available", "this batch's frame is not stored"
    return "frame not received", "loss and timings of this batch are kept"


def _draw_map(
    sheet: Sheet,
    room: Box,
    gray: NDArray[np.float32],
    layer: tuple[str, GateView],
    *,
    nuclei: NDArray[np.int32] | None = None,
) -> Box:
    name, view = layer
    size = shown_size(gray.shape, (room.width, room.height))
    shown = room.centered(*size)
    backdrop = scaled(gray, size)
    sheet.fill(room, MAT, under=True)
    if view.density is None:
        image = dimmed_image(backdrop)
    else:
        image = attention_image(smooth(view.density, size), backdrop)
    if nuclei is not None:
        image = outlined(image, nuclei, ON_ATTENTION)
    sheet.image(shown, image, f"attention {name}")
    return shown


def _draw_remark(sheet: Sheet, shown: Box, view: GateView) -> None:
    if not view.remark:
        return
    lettering = SMALL.colored("white")
    plate = Box(shown.x + 8, shown.bottom - 34, text_width(view.remark, lettering) + 16, 26)
    sheet.fill(plate, INK)
    sheet.text((plate.x + 8, plate.y + 17), view.remark, lettering)


def _draw_scale(sheet: Sheet, content: Box) -> None:
    bar = Box(content.x + SIDE, content.y, 12, _BAR)
    draw_color_bar(sheet, bar, ATTENTION_COLORS, _TICKS)


def _draw_nuclei_key(sheet: Sheet, content: Box) -> None:
    at = (content.x + SIDE, content.y + _BAR + 24)
    draw_outline_key(sheet, at, ON_ATTENTION, "nuclei,")
    sheet.text((at[0], at[1] + 15), "approximate", SMALL)


def _draw_thumbnail(
    sheet: Sheet,
    content: Box,
    gray: NDArray[np.float32],
    layer: tuple[str, GateView],
    place: tuple[int, int],
) -> None:
    name, view = layer
    index, count = place
    below_bar = content.bottom - (content.y + _BAR + _KEY)
    side = min(math.floor(below_bar / count) - _LABEL, COLUMN - SIDE)
    y = content.bottom - (count - index) * (side + _LABEL) + _LABEL
    room = Box(content.x + SIDE, y, side, side)
    sheet.text((room.x, room.y - 6), _thumbnail_label(name, view), SMALL, width=COLUMN - SIDE)
    _draw_map(sheet, room, gray, layer)


def _thumbnail_label(name: str, view: GateView) -> str:
    return f"{name}: {view.short}" if view.short else name


def _explanation(view: GateView, hidden: int) -> str:
    text = "gate above its lowest quartile, 1× = uniform share, fixed scale"
    more = f" · {hidden} more layers" if hidden > 0 else ""
    return f"{text} · contrast {number(view.contrast)}{more}"
