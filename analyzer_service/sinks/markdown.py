"""Markdown that reads well as text too: aligned tables, cells that cannot break them."""

import unicodedata
from collections.abc import Collection, Sequence


def table(
    header: Sequence[str], rows: Sequence[Sequence[str]], *, words: Collection[int] = (0,)
) -> str:
    """A table whose columns line up: those with `words` to the left, numbers to the right.

    Examples
    --------
    >>> print(table(["", "loss"], [["train", "0.1"], ["val", "0.25"]]))
    |       | loss |
    | :---- | ---: |
    | train |  0.1 |
    | val   | 0.25 |
    """
    cells = [[cell(text) for text in line] for line in (header, *rows)]
    widths = [max(4, *(_width(line[i]) for line in cells)) for i in range(len(header))]
    rules = [
        f":{'-' * (width - 1)}" if i in words else f"{'-' * (width - 1)}:"
        for i, width in enumerate(widths)
    ]
    lines = [_line(line, widths, words) for line in cells]
    return "\n".join([lines[0], _line(rules, widths, words), *lines[1:]])


def cell(text: str) -> str:
    """`text` on one line, without anything that ends a table cell.

    Examples
    --------
    >>> cell("a|b")
    'a\\\\|b'
    """
    return one_line(text).replace("|", "\\|")


def quoted(text: str) -> str:
    """Text from outside as a code span, so that nothing in it is taken for Markdown."""
    return "`" + one_line(text.replace("`", "'")) + "`"


def one_line(text: str) -> str:
    """`text` on one line, without what would steer a terminal or turn its writing around.

    Examples
    --------
    >>> one_line("a\\n b\\x1b[31m")
    'a b�[31m'
    """
    return "".join(c if c.isprintable() else "\ufffd" for c in " ".join(text.split()))


def _line(cells: Sequence[str], widths: Sequence[int], words: Collection[int]) -> str:
    padded = []
    for i, (text, width) in enumerate(zip(cells, widths, strict=True)):
        gap = " " * (width - _width(text))
        padded.append(text + gap if i in words else gap + text)
    return f"| {' | '.join(padded)} |"


def _width(text: str) -> int:
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in text)
