"""Markdown as HTML: complete tables for screen readers, and nothing that loads or runs."""

import pytest

from analyzer_service.html import to_html
from analyzer_service.sinks.markdown import quoted, table
from tests.analyzer_service.html.documents import read

HOSTILE = (
    "<script>alert(1)</script>",
    "![x](http://example.org/x.png)",
    "[x](http://example.org)",
    "[x](javascript:alert(1))",
    "<http://example.org>",
    '"><img src=x onerror=alert(1)>',
    "[r]\n\n[r]: http://example.org/",
    "a | b ` c",
)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("quote", [quoted, str])
def test_text_from_outside_stays_text(text: str, quote: object) -> None:
    cell = quote(text)  # type: ignore[operator]
    document = read(str(to_html(f"{cell}\n\n{table(['', 'b'], [[cell, cell]])}\n")))

    assert {name for name, _ in document.elements} <= {
        *("p", "code", "div", "table", "thead", "tbody", "tr", "th", "td"),
    }
    assert document.loads() == []
    assert not any(name.startswith("on") for _, a in document.elements for name in a)


def test_tables_have_headers_of_columns_and_of_rows() -> None:
    document = read(str(to_html(table(["", "loss"], [["train", "0.1"], ["val", "0.2"]]))))

    scopes = [attributes.get("scope") for attributes in document.named("th")]
    assert scopes == ["col", "col", "row", "row"]
    assert document.texts["td"] == ["0.1", "0.2"]
    assert document.named("div")[0] == {"class": "table", "role": "group", "tabindex": "0"}


def test_a_number_stays_with_its_unit() -> None:
    assert "95\N{NO-BREAK SPACE}% CI 3\N{NO-BREAK SPACE}ms" in to_html("95 % CI 3 ms")
    assert "5 msgs" in to_html("5 msgs")
