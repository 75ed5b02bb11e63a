"""SVG, element by element: escaped, with numbers of a fixed form, so that bytes are the same."""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup, escape


def element(name: str, *inside: Markup, **attributes: object) -> Markup:
    """One element; ``class_`` and the like lose their underscore, ``a_b`` becomes ``a-b``.

    Examples
    --------
    >>> print(element("g", element("title", escape("a<b")), class_="x", stroke_width=1.5))
    <g class="x" stroke-width="1.5"><title>a&lt;b</title></g>
    """
    said = Markup("").join(
        Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _value(value))
        for key, value in attributes.items()
    )
    if not inside:
        return Markup("<{}{}/>").format(Markup(name), said)
    return Markup("<{0}{1}>{2}</{0}>").format(Markup(name), said, Markup("").join(inside))


def text(words: str, x: float, y: float, *, anchor: str = "start", class_: str = "") -> Markup:
    """Text at a place; `anchor` is ``start``, ``middle`` or ``end``."""
    more = {"class_": class_} if class_ else {}
    return element("text", escape(words), x=x, y=y, text_anchor=anchor, **more)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def path(points: Sequence[tuple[float, float]]) -> str:
    """Data of a path through the points; it is interrupted where one is NaN.

    Examples
    --------
    >>> path([(0, 1), (2, 3.456), (4, float("nan")), (5, 6), (7, 8)])
    'M0 1L2 3.46M5 6L7 8'
    """
    parts, drawing = [], False
    for x, y in points:
        known = math.isfinite(x) and math.isfinite(y)
        if known:
            parts.append(f"{'L' if drawing else 'M'}{number(x)} {number(y)}")
        drawing = known
    return "".join(parts)


def number(value: float) -> str:
    """A coordinate, to a hundredth, as short as it can be."""
    # Adding zero turns the zero that has a sign into one that has none.
    return f"{round(float(value), 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def joined(parts: Iterable[Markup]) -> Markup:
    """Elements one after the other."""
    return Markup("").join(parts)


def _value(value: object) -> str:
    return number(value) if isinstance(value, float) else str(value)
