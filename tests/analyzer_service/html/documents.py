"""Reading a page back: its elements, its text, what it would load."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "br", "hr", "img", "input", "link"}
LOADING = {"src", "srcset", "href", "xlink:href", "data", "action", "poster", "background"}


@dataclass
class Document(HTMLParser):
    """Elements in order, as (name, attributes), and the text in each kind of element."""

    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    texts: dict[str, list[str]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag, f"</{tag}> is out of place"

    def handle_data(self, data: str) -> None:
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def close(self) -> None:
        super().close()
        assert not self._open, f"{self._open} are not closed"

    def named(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def loads(self) -> list[str]:
        """Everything that a browser would fetch, or go to, beyond the page itself."""
        return [
            value
            for _, attributes in self.elements
            for name, value in attributes.items()
            if name in LOADING and not value.startswith(("#", "data:image/png;base64,"))
        ]


def read(page: str) -> Document:
    """Parse a page; every element must be closed where it was opened."""
    document = Document()
    document.feed(page)
    document.close()
    return document
