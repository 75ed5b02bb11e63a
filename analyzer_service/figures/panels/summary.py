"""Panel 6: each metric beside its good range, then tissue, speed, memory and progress."""

import math
from dataclasses import dataclass

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.lettering import BODY, FAINT, INK, MUTED, SMALL, STRONG
from analyzer_service.figures.panels.facts import Facts, draw_facts
from analyzer_service.figures.panels.layout import open_panel
from analyzer_service.figures.panels.marks import mark
from analyzer_service.figures.panels.pathology import (
    attention_facts,
    has_pathology,
    position_warning,
    remark,
    tissue_facts,
)
from analyzer_service.figures.ranges import GoodRange
from analyzer_service.figures.sheet import Sheet
from analyzer_service.figures.wording import UNDEFINED, number, of_total, with_unit

_VALUE, _RANGE, _MARK = 232, 258, 378
_HEAD = 21
_FACTS = 4
_PLATE = "#fbf0dc"
_WARNING = SMALL.colored("#6b4300")


@dataclass(frozen=True)
class _Pitches:
    """Pixels from line to line, and where the lowest facts end above the panel's foot."""

    rows: float
    facts: float
    end: float


_ROOMY, _DENSE = _Pitches(26, 22, 44), _Pitches(20, 18, 36)


def draw_summary(sheet: Sheet, box: Box, data: DashboardData) -> None:
    """Draw panel 6."""
    content = open_panel(sheet, box, "Summary", _caption(data))
    pitches = _DENSE if has_pathology(data) else _ROOMY
    _draw_head(sheet, content)
    for index, good in enumerate(data.ranges.all):
        _draw_row(sheet, content, content.y + _HEAD + (index + 1) * pitches.rows, (good, data))
    top = content.y + _HEAD + len(data.ranges.all) * pitches.rows
    if has_pathology(data):
        top = _draw_pathology(sheet, Box(content.x, top, content.width, 0), data)
    height = _FACTS * pitches.facts
    facts = Box(content.x, box.bottom - pitches.end - height, content.width, height)
    _draw_warning(sheet, Box(content.x, top, content.width, facts.y - top), data)
    draw_facts(sheet, facts, (_result_facts(data), _speed_facts(data)), pitches.facts)
    _draw_training(sheet, content, box.bottom, data)


def _draw_head(sheet: Sheet, content: Box) -> None:
    y = content.y + 12
    sheet.text((content.x, y), "metric", SMALL)
    sheet.text((content.x + _VALUE, y), "value", SMALL.right())
    sheet.text((content.x + _RANGE, y), "good range", SMALL)
    sheet.fill(Box(content.x, content.y + _HEAD - 1, content.width, 1), INK)


def _draw_row(sheet: Sheet, content: Box, y: float, what: tuple[GoodRange, DashboardData]) -> None:
    good, data = what
    value = data.value(good.key)
    verdict = mark(good.judge(value))
    text = with_unit(value, good.unit)
    sheet.text((content.x, y - 6), good.label, BODY)
    lettering = BODY.colored(MUTED) if text == UNDEFINED else STRONG
    sheet.text((content.x + _VALUE, y - 6), text, lettering.right())
    sheet.text((content.x + _RANGE, y - 6), good.text(), BODY)
    sheet.text((content.x + _MARK, y - 6), verdict.text, BODY.colored(verdict.color))
    sheet.fill(Box(content.x, y, content.width, 1), FAINT)


def _draw_pathology(sheet: Sheet, top: Box, data: DashboardData) -> float:
    """Write the block below `top`; return where it ends."""
    y = top.y + 24
    sheet.text((top.x, y), "Pathology", STRONG)
    sheet.text((top.right, y), remark(data), SMALL.right())
    sheet.fill(Box(top.x, y + 6, top.width, 1), INK)
    columns = (tissue_facts(data), attention_facts(data))
    facts = Box(top.x, y + 9, top.width, _FACTS * 18)
    draw_facts(sheet, facts, columns, 18)
    return facts.bottom


def _draw_warning(sheet: Sheet, room: Box, data: DashboardData) -> None:
    text = position_warning(data)
    if not text:
        return
    plate = room.centered(room.width, 20)
    sheet.fill(plate, _PLATE)
    sheet.text((plate.x + 7, plate.y + 14), text, _WARNING, width=plate.width - 14)


def _result_facts(data: DashboardData) -> Facts:
    return [
        ("Loss", number(data.value("loss"), 4)),
        ("MSE", number(data.value("mse"), 4)),
        ("PSNR", with_unit(data.value("psnr"), "dB")),
        ("Tiles in the batch", _whole(data.value("batch_size"))),
    ]


def _whole(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else number(value)


def _speed_facts(data: DashboardData) -> Facts:
    step = [("Step time", with_unit(data.value("training_time_ms"), "ms"))]
    return [
        *(step if data.phase == "train" else []),  # validation takes no such step
        ("Data wait", with_unit(data.value("data_time_ms"), "ms")),
        ("Throughput", with_unit(throughput(data), "tiles/s")),
        ("Memory", with_unit(data.value("memory_mb"), "MiB")),
    ]


def throughput(data: DashboardData) -> float:
    """Tiles per second of this batch: its tiles over the time of its step and data, or NaN.

    A validation batch has no training step; its inference time counts instead.
    """
    name = "training_time_ms" if data.phase == "train" else "inference_time_ms"
    waited = data.value("data_time_ms")
    spent_ms = data.value(name) + (0.0 if math.isnan(waited) else waited)
    return 1000.0 * data.value("batch_size") / spent_ms if spent_ms > 0 else math.nan


def _draw_training(sheet: Sheet, content: Box, y: float, data: DashboardData) -> None:
    step, total = data.count("global_step"), _positive(data.run.total_steps)
    epoch, epochs = data.count("epoch"), _positive(data.run.max_epochs)
    half = content.width / 2 - 10
    sheet.text((content.x, y - 12), _epoch_text(epoch, epochs), BODY, width=half)
    sheet.text((content.right, y - 12), f"Step {of_total(step, total)}", BODY.right(), width=half)
    if total is None and epochs is None:
        return
    share = step / total if total else epoch / epochs if epochs else 0.0
    sheet.fill(Box(content.x, y - 5, content.width, 5), FAINT)
    sheet.fill(Box(content.x, y - 5, content.width * min(share, 1.0), 5), INK)


def _epoch_text(epoch: int, epochs: int | None) -> str:
    """Epochs are numbered from 0, as in file names; people count from 1."""
    return f"Epoch {epoch:,}" + (f" ({of_total(epoch + 1, epochs)})" if epochs else "")


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None


def _caption(data: DashboardData) -> str:
    tiles = data.count("samples")
    if not tiles:
        return "no tile of this batch was analyzed"
    parts = [f"means of the {tiles:,} analyzed tile{'s' if tiles > 1 else ''}"]
    if data.primary:
        parts.append(f"attention of {data.primary}")
    counts = _gate_counts(data)
    parts += [f"{count:,} {word}" for word, count in counts.items() if count > 0]
    return " · ".join(parts)


def _gate_counts(data: DashboardData) -> dict[str, int]:
    flat, low, undefined = (
        data.count(f"attention_{data.primary}_{name}")
        for name in ("flat", "low_contrast", "undefined")
    )
    return {"constant": flat, "weak": low - flat, "undefined": undefined}
