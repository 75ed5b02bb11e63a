"""Markdown of ours as HTML: tables that can be read aloud, nothing that loads or runs."""

import re
from functools import cache
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_NEVER: Final = ("image", "link", "autolink", "html_inline", "html_block")
"""Rules that are off: nothing in a report may load, lead elsewhere, or be HTML already."""

_UNIT: Final = re.compile(r"(?<=\d) (?=(?:%|ms|MiB|KiB|GiB|dB|px|µm|nats)(?:\W|$))")
"""The space between a number and its unit, at which no line should break."""


def to_html(markdown: str) -> Markup:
    """`markdown` as HTML.

    HTML, links and images in it stay text. Tables get a scope for each header, the first column
    as headers of rows, and a frame that scrolls by itself on a narrow screen.

    Examples
    --------
    >>> print(to_html("**a** <b> `<i>`"), end="")
    <p><strong>a</strong> &lt;b&gt; <code>&lt;i&gt;</code></p>
    """
    parser = _parser()
    tokens = parser.parse(_UNIT.sub("\N{NO-BREAK SPACE}", markdown))
    _name_headers(tokens)
    return Markup(parser.renderer.render(tokens, parser.options, {}))


def sections_of(markdown: str) -> tuple[str, list[tuple[str, str]]]:
    """What stands before the first heading of level 2, and title and text below each.

    Examples
    --------
    >>> sections_of("# A\\n\\nb\\n\\n## C\\n\\nd\\n")
    ('# A\\n\\nb\\n\\n', [('C', '\\nd\\n')])
    """
    opening, *parts = re.split(r"^## ", markdown, flags=re.MULTILINE)
    return opening, [(title, body) for title, _, body in (p.partition("\n") for p in parts)]


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable(list(_NEVER))
    parser.add_render_rule("table_open", _table_open)
    parser.add_render_rule("table_close", _table_close)
    return parser


def _name_headers(tokens: list[Token]) -> None:
    """Headers of columns get a scope; the first cell of each row becomes a header of the row."""
    at_start, opened = False, "td"
    for token in tokens:
        if token.type == "tr_open":
            at_start = True
        elif token.type == "th_open":
            token.attrSet("scope", "col")
        elif token.type == "td_open":
            opened = token.tag = "th" if at_start else "td"
            if at_start:
                token.attrSet("scope", "row")
            at_start = False
        elif token.type == "td_close":
            token.tag = opened


def _table_open(*_: object) -> str:
    return '<div class="table" role="group" tabindex="0">\n<table>\n'


def _table_close(*_: object) -> str:
    return "</table>\n</div>\n"
