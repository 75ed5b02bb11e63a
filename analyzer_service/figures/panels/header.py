"""The line above the panels: which run, which batch."""

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.lettering import BODY, FAINT, HEADING, MUTED, text_width
from analyzer_service.figures.panels.charts import PHASE_COLORS
from analyzer_service.figures.panels.layout import COLUMN, GUTTER, MARGIN
from analyzer_service.figures.sheet import WIDTH, Sheet
from analyzer_service.figures.wording import shorten

_BASELINE = 38


def draw_header(sheet: Sheet, data: DashboardData) -> None:
    """Write run name, phase, step, epoch, batch and project."""
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


def _details(data: DashboardData, width: float) -> str:
    numbers = f"step {data.count('global_step'):,}   epoch {data.count('epoch'):,}"
    numbers += f"   batch {data.count('batch_idx'):,}   "
    if data.phase == "val":
        numbers = f"validation batch {data.count('phase_step'):,} after {numbers}"
    rest = width - text_width(f"{numbers}project ", BODY)
    project = shorten(data.run.project, lambda part: text_width(part, BODY) <= rest)
    return f"{numbers}project {project}"
