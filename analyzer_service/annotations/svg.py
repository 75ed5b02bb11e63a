"""The part of SVG that marks areas: polygons, rectangles, and paths of straight lines."""

import re
from collections.abc import Iterator
from typing import Final
from xml.etree import ElementTree

import numpy as np

from analyzer_service.annotations.regions import Polygon, Ring

_TOKEN: Final = re.compile(r"[A-Za-z]|[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_NEITHER: Final = re.compile(r"[^\s,]")
_NUMBERS_OF: Final = {"m": 2, "l": 2, "h": 1, "v": 1, "z": 0}


class SvgError(ValueError):
    """SVG that is damaged, or has shapes that are not read."""


def rings_of(svg: str) -> list[Ring]:
    """Outlines of all shapes, by the even-odd rule; each as drawn, so perhaps not closed.

    Raises
    ------
    SvgError
        If it is no XML, has a transformation, or shapes other than ``polygon``, ``rect`` without
        round corners and ``path`` of ``M L H V Z`` (capital or not).
    """
    if "<!" in svg:
        raise SvgError("declarations and comments are not read")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise SvgError(f"not XML: {error}") from error
    return [ring for element in root.iter() for ring in _rings_of_element(element)]


def svg_of(polygons: tuple[Polygon, ...]) -> str:
    """SVG of polygons that do not overlap: one ``polygon``, or a ``path`` if there is more."""
    rings = [ring for polygon in polygons for ring in polygon.rings]
    if len(rings) == 1:
        shape = f'<polygon points="{_points(rings[0])}"/>'
    else:
        path = " ".join(f"M {_points(ring)} Z" for ring in rings)
        shape = f'<path fill-rule="evenodd" d="{path}"/>'
    return f'<svg xmlns="http://www.w3.org/2000/svg">{shape}</svg>'


def _points(ring: Ring) -> str:
    return " ".join(f"{x!r},{y!r}" for x, y in ring[:-1].tolist())


def rectangle(x: float, y: float, width: float, height: float) -> Ring:
    """Outline of a rectangle."""
    right, bottom = x + width, y + height
    return np.array([[x, y], [right, y], [right, bottom], [x, bottom], [x, y]], dtype=np.float64)


def _rings_of_element(element: ElementTree.Element) -> list[Ring]:
    name = element.tag.rpartition("}")[2]
    if "transform" in element.attrib:
        raise SvgError("transformations are not read")
    if name in ("svg", "g"):
        return []
    if name == "polygon":
        return [_closed(_numbers(element.get("points", "")).reshape(-1, 2))]
    if name == "rect" and "rx" not in element.attrib and "ry" not in element.attrib:
        return [rectangle(*(_length(element, key) for key in ("x", "y", "width", "height")))]
    if name == "path":
        return list(_subpaths(element.get("d", "")))
    raise SvgError(f"<{name}> is not read: use <polygon>, or <path> of straight lines")


def _length(element: ElementTree.Element, name: str) -> float:
    try:
        return float(element.get(name, "0"))
    except ValueError:
        raise SvgError(f"{name} {element.get(name)!r} is no number") from None


def _closed(ring: Ring) -> Ring:
    """A polygon's last corner is joined to the first by definition."""
    return np.concatenate([ring, ring[:1]])


def _numbers(text: str) -> Ring:
    numbers = [float(token) for token in _tokens(text)]
    if len(numbers) % 2:
        raise SvgError("a polygon with an odd number of coordinates")
    return np.array(numbers, dtype=np.float64)


def _subpaths(text: str) -> Iterator[Ring]:
    """Rings of a path; one without ``Z`` is not closed."""
    corners: list[tuple[float, float]] = []
    for command, given in _commands(text):
        if command in "mM" and len(corners) > 1:
            yield np.array(corners)
        if command in "zZ":
            yield np.array([*corners, *corners[:1]]).reshape(-1, 2)
            corners = corners[:1]  # where a next line would start
            continue
        at = corners[-1] if corners else (0.0, 0.0)
        corners = [] if command in "mM" else corners
        corners.append(_moved(command, given, at))
    if len(corners) > 1:
        yield np.array(corners)


def _moved(command: str, given: list[float], at: tuple[float, float]) -> tuple[float, float]:
    x, y = at if command.islower() else (0.0, 0.0)
    if command in "hH":
        return x + given[0], at[1]
    if command in "vV":
        return at[0], y + given[0]
    return x + given[0], y + given[1]


def _commands(text: str) -> Iterator[tuple[str, list[float]]]:
    """Each command with its numbers; further pairs after a move are lines."""
    tokens = _tokens(text)
    at = 0
    command = ""
    while at < len(tokens):
        if tokens[at].isalpha():
            command, at = tokens[at], at + 1
        count = _NUMBERS_OF.get(command.lower())
        if count is None or (count == 0 and at < len(tokens) and not tokens[at].isalpha()):
            raise SvgError(f"path command {command or tokens[at]!r} is not read: M L H V Z are")
        given = tokens[at : at + count]
        if len(given) < count or any(token.isalpha() for token in given):
            raise SvgError(f"path command {command!r} lacks numbers")
        yield command, [float(token) for token in given]
        at += count
        command = {"m": "l", "M": "L"}.get(command, command)


def _tokens(text: str) -> list[str]:
    if found := _NEITHER.search(_TOKEN.sub("", text)):
        raise SvgError(f"{found[0]!r} is no number")
    return _TOKEN.findall(text)
