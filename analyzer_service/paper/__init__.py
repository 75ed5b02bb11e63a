"""Figures of a run for a paper: PDF with text that stays text, and PNG at 300 dpi."""

from analyzer_service.paper.files import write_figures

__all__ = ["write_figures"]
