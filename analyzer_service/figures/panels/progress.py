"""Panel 5: loss and SSIM over the steps, and how the attention metrics developed."""

from collections.abc import Iterator

import numpy as np

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.lettering import BAD, CAPTION, INK, SMALL, text_width
from analyzer_service.figures.panels.charts import (
    PHASE_COLORS,
    Chart,
    draw_series,
    label_steps,
    label_values,
    shade,
)
from analyzer_service.figures.panels.layout import open_panel
from analyzer_service.figures.ranges import GUIDE, GoodRange
from analyzer_service.figures.series import (
    Scale,
    Series,
    finite,
    fixed_scale,
    free_scale,
    step_scale,
)
from analyzer_service.figures.sheet import Sheet
from shared.messages import Phase

_LEFT = 46
_PHASES: tuple[Phase, ...] = ("train", "val")
HISTORY_NAMES = ("loss", "ssim", *(good.key for good in GUIDE.attention))


def draw_progress(sheet: Sheet, box: Box, data: DashboardData) -> None:
    """Draw panel 5."""
    content = open_panel(sheet, box, "Training progress", "")
    _draw_key(sheet, box)
    steps = step_scale(_joined(data, "global_step"))
    left, width = content.x + _LEFT, content.width - _LEFT - 2
    _draw_loss(sheet, Box(left, content.y + 18, width, 104), steps, data)
    _draw_ssim(sheet, Box(left, content.y + 148, width, 72), steps, data)
    for index, good in enumerate(data.ranges.attention):
        row, column = divmod(index, 3)
        at = Box(left + column * 160, content.y + 280 + row * 84, 121, 52)
        _draw_small(sheet, at, (good, steps), data)


def _draw_key(sheet: Sheet, box: Box) -> None:
    x, y = box.x, box.y + 35
    for phase in _PHASES:
        lettering = CAPTION.colored(PHASE_COLORS[phase])
        sheet.text((x, y), f"● {phase}", lettering)
        x += text_width(f"● {phase}", lettering) + 14
    rest = "faint: each batch · strong: smoothed · green: good range"
    sheet.text((x, y), rest, CAPTION, width=box.right - x)


def _draw_loss(sheet: Sheet, box: Box, steps: Scale, data: DashboardData) -> None:
    values = _joined(data, "loss")
    chart = Chart(box, steps, free_scale(finite(values)))
    label_values(sheet, chart, chart.values.ticks)
    kind = "Loss, log scale" if chart.values.logarithmic else "Loss"
    sheet.text((box.x, box.y - 7), kind, SMALL.colored(INK))
    broken = int((~np.isfinite(values)).sum())
    if broken:
        note = f"not finite at {broken:,} of {values.size:,} points"
        sheet.text((box.right, box.y - 7), note, SMALL.colored(BAD).right())
    _draw_phases(sheet, chart, "loss", data)


def _draw_ssim(sheet: Sheet, box: Box, steps: Scale, data: DashboardData) -> None:
    scale = fixed_scale(0.0, 1.0, finite(_joined(data, "ssim")))
    chart = Chart(box, steps, scale)
    good = data.ranges.ssim
    shade(sheet, chart, good)
    limit = 0.8 if good.low is None else good.low
    label_values(sheet, chart, (limit, 0.0, 1.0, 0.5))
    label_steps(sheet, chart)
    sheet.text((box.x, box.y - 7), "SSIM, mean of the analyzed tiles", SMALL.colored(INK))
    _draw_phases(sheet, chart, "ssim", data)


def _draw_small(sheet: Sheet, box: Box, what: tuple[GoodRange, Scale], data: DashboardData) -> None:
    good, steps = what
    scale = fixed_scale(*good.scale, finite(_joined(data, good.key)))
    chart = Chart(box, steps, scale)
    shade(sheet, chart, good)
    limits = tuple(limit for limit in (good.low, good.high) if limit is not None)
    label_values(sheet, chart, limits)
    sheet.text((box.x, box.y - 7), good.label, SMALL.colored(INK))
    _draw_phases(sheet, chart, good.key, data)


def _draw_phases(sheet: Sheet, chart: Chart, name: str, data: DashboardData) -> None:
    for phase, columns in _columns(data, name):
        draw_series(sheet, chart, phase, columns)


def _columns(data: DashboardData, name: str) -> Iterator[tuple[Phase, tuple[Series, Series]]]:
    for phase in _PHASES:
        columns = data.history.get(phase, {})
        if name in columns and "global_step" in columns:
            yield phase, (columns["global_step"], columns[name])


def _joined(data: DashboardData, name: str) -> Series:
    parts = [columns[1] for _, columns in _columns(data, name)]
    return np.concatenate(parts) if parts else np.empty(0)
