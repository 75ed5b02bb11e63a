"""A function per panel of the dashboard."""

from analyzer_service.figures.panels.attention import draw_attention
from analyzer_service.figures.panels.header import draw_header
from analyzer_service.figures.panels.images import draw_error, draw_original, draw_reconstruction
from analyzer_service.figures.panels.progress import draw_progress
from analyzer_service.figures.panels.summary import draw_summary

__all__ = [
    "draw_attention",
    "draw_error",
    "draw_header",
    "draw_original",
    "draw_progress",
    "draw_reconstruction",
    "draw_summary",
]
