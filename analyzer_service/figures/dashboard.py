"""The six-panel dashboard: data in, PNG bytes out."""

from analyzer_service.figures import panels
from analyzer_service.figures.data import DashboardData, TileQuality
from analyzer_service.figures.panels.layout import panel_box
from analyzer_service.figures.sheet import Sheet

__all__ = ["DashboardData", "TileQuality", "draw_sheet", "render_dashboard"]

_PANELS = (
    (panels.draw_original, panels.draw_reconstruction, panels.draw_error),
    (panels.draw_attention, panels.draw_progress, panels.draw_summary),
)


def render_dashboard(data: DashboardData) -> bytes:
    """Draw a dashboard of 1600 px width as PNG; equal data gives equal bytes."""
    return draw_sheet(data).paint().png()


def draw_sheet(data: DashboardData) -> Sheet:
    """Place everything on a sheet without painting it."""
    sheet = Sheet()
    panels.draw_header(sheet, data)
    for row, functions in enumerate(_PANELS):
        for column, draw in enumerate(functions):
            draw(sheet, panel_box(row, column), data)
    return sheet
