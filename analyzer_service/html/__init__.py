"""Pages of HTML that stand alone: one file, nothing loaded from elsewhere, no script."""

from analyzer_service.html.markup import to_html
from analyzer_service.html.shell import render_page

__all__ = ["render_page", "to_html"]
