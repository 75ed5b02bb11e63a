"""The three image panels: the clean tile, its reconstruction, and the error between them."""

import numpy as np
from numpy.typing import NDArray

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.colormaps import ERROR_COLORS, ERROR_LIMIT, error_image
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.lettering import BODY, FIGURE, MAT, MUTED, SMALL, Lettering
from analyzer_service.figures.outlines import ON_TISSUE, outlined
from analyzer_service.figures.panels.layout import (
    COLUMN,
    IMAGE,
    SIDE,
    draw_missing,
    footnote,
    image_room,
    open_panel,
    tile_caption,
)
from analyzer_service.figures.panels.legend import draw_color_bar, draw_outline_key, draw_scale_bar
from analyzer_service.figures.panels.marks import mark
from analyzer_service.figures.scaling import scaled, shown_size
from analyzer_service.figures.sheet import Sheet
from analyzer_service.figures.wording import UNDEFINED, number, with_unit
from shared.messages import Sample

_FACT = 48
_STAINS = {"he": "H&E", "ihc": "IHC", "unknown": "not stated"}


def draw_original(sheet: Sheet, box: Box, data: DashboardData) -> None:
    """Panel 1: the clean target tile, with a scale bar when its pixel size is known."""
    content = open_panel(sheet, box, "Original", tile_caption(data))
    if data.frame is None or data.sample is None:
        _draw_no_frame(sheet, content, data)
        return
    tile = data.frame.input[0]
    shown = _draw_image(sheet, content, tile, "original", nuclei=data.nuclei)
    if data.mpp is not None:
        draw_scale_bar(sheet, shown, data.mpp * tile.shape[1] / shown.width)
    facts = _tile_facts(data, tile.shape)
    _list_facts(sheet, content, facts)
    if data.nuclei is not None:
        _draw_nuclei_fact(sheet, content, len(facts) * _FACT, data.nuclei)
    footnote(sheet, box, _identity(data.sample))


def draw_reconstruction(sheet: Sheet, box: Box, data: DashboardData) -> None:
    """Panel 2: the model's output with the tile's MSE, PSNR and SSIM."""
    content = open_panel(sheet, box, "Reconstruction", tile_caption(data))
    if data.frame is None or data.sample is None:
        _draw_no_frame(sheet, content, data)
        return
    _draw_image(sheet, content, data.frame.reconstruction[0], "reconstruction")
    if data.tile is None:
        return
    verdict = mark(data.ranges.ssim.judge(data.tile.ssim))
    facts = [
        ("MSE", number(data.tile.mse)),
        ("PSNR", with_unit(data.tile.psnr, "dB")),
        ("SSIM", number(data.tile.ssim)),
    ]
    for index, (label, value) in enumerate(facts):
        lettering = BODY.colored(MUTED) if value == UNDEFINED else FIGURE
        _write_fact(sheet, content, index * 68, (label, value, lettering))
    sheet.text((content.x + SIDE, content.y + 210), verdict.text, SMALL.colored(verdict.color))
    footnote(sheet, box, "MSE, PSNR and SSIM of this tile")


def draw_error(sheet: Sheet, box: Box, data: DashboardData) -> None:
    """Panel 3: absolute error per pixel, green low to red high, on a fixed scale."""
    content = open_panel(sheet, box, "Error map", tile_caption(data))
    if data.frame is None or data.sample is None:
        _draw_no_frame(sheet, content, data)
        return
    error = absolute_error(data.frame.input[0], data.frame.reconstruction[0])
    size = shown_size(error.shape, (IMAGE, IMAGE))
    _draw_image(sheet, content, error_image(scaled(error, size)), "error")
    ticks = {value: f"{value:.2f}" for value in (0.0, 0.05, 0.1, 0.15, 0.2, ERROR_LIMIT)}
    bar = Box(content.x + SIDE, content.y, 12, IMAGE)
    draw_color_bar(sheet, bar, ERROR_COLORS, {v / ERROR_LIMIT: t for v, t in ticks.items()})
    beyond = float((error > ERROR_LIMIT).mean())
    text = f"absolute error, mean of R, G, B, full range = 1 · mean {number(float(error.mean()))}"
    footnote(sheet, box, f"{text} · {beyond:.1%} above {ERROR_LIMIT}")


def absolute_error(image: NDArray[np.uint8], other: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Absolute difference, mean over channels, in [0, 1], float32 (H, W)."""
    difference = np.abs(image.astype(np.int16) - other)
    error: NDArray[np.float32] = difference.mean(axis=2, dtype=np.float32) / np.float32(255)
    return error


def _draw_image(
    sheet: Sheet,
    content: Box,
    image: NDArray[np.uint8],
    name: str,
    *,
    nuclei: NDArray[np.int32] | None = None,
) -> Box:
    room = image_room(content)
    sheet.fill(room, MAT, under=True)
    size = shown_size(image.shape, (IMAGE, IMAGE))
    shown = room.centered(*size)
    enlarged = scaled(image, size)
    if nuclei is not None:
        enlarged = outlined(enlarged, nuclei, ON_TISSUE)
    sheet.image(shown, enlarged, name)
    return shown


def _draw_no_frame(sheet: Sheet, content: Box, data: DashboardData) -> None:
    if data.count("samples"):
        draw_missing(sheet, content, ("images not available", "this batch's frame is not stored"))
        return
    draw_missing(sheet, content, ("frame not received", "loss and timings of this batch are kept"))


def _identity(sample: Sample) -> str:
    return sample.id if sample.slide is None else f"{sample.id} · slide {sample.slide}"


def _tile_facts(data: DashboardData, shape: tuple[int, ...]) -> list[tuple[str, str]]:
    height, width = shape[:2]
    shown = len(data.frame.samples) if data.frame else 0
    facts = [("tile", f"1 of {shown}"), ("size", f"{width} × {height}")]
    if data.mpp is not None:
        facts.append(("field, µm", f"{width * data.mpp:.3g} × {height * data.mpp:.3g}"))
    facts.append(("stain", _STAINS[data.run.stain]))
    return facts


def _draw_nuclei_fact(sheet: Sheet, content: Box, y: float, nuclei: NDArray[np.int32]) -> None:
    count = np.unique(nuclei[nuclei > 0]).size
    x = content.x + SIDE
    draw_outline_key(sheet, (x, content.y + y + 12), ON_TISSUE, "nuclei")
    sheet.text((x, content.y + y + 32), f"{count:,}" if count else "none found", BODY)
    if count:
        sheet.text((x, content.y + y + 49), "approximate", SMALL)


def _list_facts(sheet: Sheet, content: Box, facts: list[tuple[str, str]]) -> None:
    for index, (label, value) in enumerate(facts):
        _write_fact(sheet, content, index * _FACT, (label, value, BODY))


def _write_fact(sheet: Sheet, content: Box, y: float, fact: tuple[str, str, Lettering]) -> None:
    label, value, lettering = fact
    x = content.x + SIDE
    sheet.text((x, content.y + y + 12), label, SMALL)
    sheet.text((x, content.y + y + lettering.pixels + 19), value, lettering, width=COLUMN - SIDE)
