"""The frame of a page: head, style, contents, sections."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

_PAGE: Final = "page.html.j2"
_EMPTY: Final = Markup("")


@dataclass(frozen=True)
class Section:
    """A part of a page: its heading, its HTML, and the name that leads to it."""

    title: str
    body: Markup
    anchor: str


@dataclass(frozen=True)
class Card:
    """A number that is seen first: what it is, the number, what to know beside it."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A page: its title, its first words, numbers and details, then its sections."""

    title: str
    sections: Sequence[Section]
    opening: Markup = _EMPTY
    cards: Sequence[Card] = ()
    details: Markup = _EMPTY


def anchor_of(title: str) -> str:
    """Name that leads to a section.

    Examples
    --------
    >>> anchor_of("Frames: what arrived")
    'frames-what-arrived'
    """
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def render_page(page: Page) -> str:
    """The page as one file of HTML; its policy for browsers forbids to load anything."""
    style = files("analyzer_service.html").joinpath("templates/page.css").read_text("utf-8")
    return _environment().get_template(_PAGE).render(page=page, style=Markup(style))


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("analyzer_service.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
