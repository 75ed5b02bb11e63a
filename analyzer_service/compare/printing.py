"""A comparison at the terminal, as Markdown, and as a page."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyzer_service.compare.content import ComparedTable, Comparison
from analyzer_service.html.markup import sections_of, to_html
from analyzer_service.html.shell import Page, Section, anchor_of, render_page
from analyzer_service.sinks.markdown import quoted, table


def show(comparison: Comparison, console: Console) -> None:
    """Print the tables; text from outside is shown as it is, never taken for markup."""
    for part in comparison.tables:
        console.print(Text(part.title, style="bold"))
        if part.rows:
            console.print(_rich(part))
        if part.words:
            console.print(Text(part.words, style="dim"))
        console.print()


def as_markdown(comparison: Comparison) -> str:
    """The comparison as Markdown."""
    parts = [f"# Runs compared: {', '.join(comparison.names)}"]
    for part in comparison.tables:
        parts.append(f"## {part.title}")
        if part.rows:
            parts.append(_markdown(part))
        if part.words:
            parts.append(part.words)
    return "\n\n".join(parts) + "\n"


def as_page(comparison: Comparison) -> str:
    """The comparison as a page of HTML that stands alone."""
    _, parts = sections_of(as_markdown(comparison))
    sections = [Section(title, to_html(body), anchor_of(title)) for title, body in parts]
    return render_page(Page(f"Runs compared: {', '.join(comparison.names)}", sections))


def _rich(part: ComparedTable) -> Table:
    shown = Table(show_edge=False, pad_edge=False)
    for i, name in enumerate(part.header):
        words = i == 0 or i in part.outside
        shown.add_column(Text(name), justify="left" if words else "right", overflow="fold")
    for row in part.rows:
        shown.add_row(*(Text(cell) for cell in row))
    return shown


def _markdown(part: ComparedTable) -> str:
    rows = [
        [quoted(text) if i in part.outside and text != "–" else text for i, text in enumerate(row)]
        for row in part.rows
    ]
    return table(part.header, rows, words={0, *part.outside})
