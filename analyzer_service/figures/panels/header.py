"""The lines above the panels: which run, which batch, which alerts."""

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.lettering import (
    BAD,
    BODY,
    FAINT,
    HEADING,
    MUTED,
    SMALL,
    plain,
    text_width,
)
from analyzer_service.figures.panels.charts import PHASE_COLORS
from analyzer_service.figures.panels.layout import COLUMN, GUTTER, MARGIN
from analyzer_service.figures.sheet import WIDTH, Sheet
from analyzer_service.figures.wording import shorten

_BASELINE = 38
_ALERTS = 69


def draw_header(sheet: Sheet, data: DashboardData) -> None:
    """Write run name, phase, step, epoch, batch and project; below, the alerts that go on."""
    room = COLUMN + GUTTER
    name = sheet.text((MARGIN, _BASELINE), data.run.run_name, HEADING, width=room + 200)
    phase = "training" if data.phase == "train" else "validation"
    lettering = HEADING.colored(PHASE_COLORS[data.phase])
    x = MARGIN + text_width(name.text, HEADING) + 18
    sheet.text((x, _BASELINE), phase, lettering)
    left = x + text_width(phase, lettering) + 40
    right = WIDTH - MARGIN
    sheet.text((right, _BASELINE), _details(data, right - left), BODY.colored(MUTED).right())
    sheet.fill(Box(MARGIN, 56, WIDTH - 2 * MARGIN, 1), FAINT)
    if data.alerts:
        sheet.text((MARGIN, _ALERTS), _alert_line(data.alerts), SMALL.colored(BAD))


def _alert_line(alerts: tuple[str, ...]) -> str:
    """As many alerts as fit, and how many more there are."""
    count = len(alerts)
    for shown in range(count, 0, -1):
        more = f" · {count - shown} more" if shown < count else ""
        line = f"Alerts: {' · '.join(alerts[:shown])}{more}"
        if text_width(plain(line), SMALL) <= WIDTH - 2 * MARGIN:
            return line
    return f"{count} alerts"


def _details(data: DashboardData, width: float) -> str:
    numbers = f"step {data.count('global_step'):,}   epoch {data.count('epoch'):,}"
    numbers += f"   batch {data.count('batch_idx'):,}   "
    if data.phase == "val":
        numbers = f"validation batch {data.count('phase_step'):,} after {numbers}"
    rest = width - text_width(f"{numbers}project ", BODY)
    project = shorten(data.run.project, lambda part: text_width(part, BODY) <= rest)
    return f"{numbers}project {project}"
