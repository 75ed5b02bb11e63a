"""W3C Web Annotation: areas of an image by an SVG shape or a rectangle of pixels."""

import math
import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from analyzer_service.annotations.geojson import LARGEST_COORDINATE
from analyzer_service.annotations.items import Item, in_words, refused, repaired
from analyzer_service.annotations.regions import UNCLASSIFIED, Fault, Region, Ring
from analyzer_service.annotations.repairing import even_odd
from analyzer_service.annotations.svg import SvgError, rectangle, rings_of, svg_of

CONTEXT: Final = "http://www.w3.org/ns/anno.jsonld"
_FRAGMENT: Final = re.compile(r"xywh=(?:pixel:)?([^,]+),([^,]+),([^,]+),([^,]+)")
_NAMING: Final = ("classifying", "tagging", "identifying")

Text = Annotated[str, Field(max_length=64 << 20)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class _Selector(_Part):
    type: Literal["SvgSelector", "FragmentSelector"]
    value: Text


class _Target(_Part):
    selector: _Selector | list[_Selector]


class _Body(_Part):
    value: Annotated[str, Field(max_length=1024)] | None = None
    purpose: str | list[str] | None = None


class _Annotation(_Part):
    type: Literal["Annotation"]
    body: list[_Body] | _Body | str | None = None
    target: _Target


def read_annotation(annotation: Mapping[str, Any], where: str) -> Item:
    """Region of one Web Annotation; `where` names it in what is said of it."""
    try:
        read = _Annotation.model_validate(annotation)
        rings = _rings(read.target.selector)
    except ValidationError as error:
        return refused("unreadable", where, in_words(error))
    except SvgError as error:
        return refused("unreadable", where, str(error))
    polygons, repairs = even_odd(rings)
    if not polygons:
        return refused("no_area", where, "a shape that encloses nothing")
    label = _label(read.body)
    done = repaired(Region(polygons, label=label or UNCLASSIFIED), where, repairs)
    return done if label else Item(done.region, (*done.faults, Fault("unclassified", where)))


def page_of(regions: Iterable[Region], source: str) -> dict[str, Any]:
    """AnnotationPage of regions of the image `source`, in their order."""
    return {
        "@context": CONTEXT,
        "type": "AnnotationPage",
        "items": [_annotation(region, source, n) for n, region in enumerate(regions, 1)],
    }


def _annotation(region: Region, source: str, number: int) -> dict[str, Any]:
    body = {"type": "TextualBody", "purpose": "tagging", "value": region.label}
    return {
        "id": f"#{number}",
        "type": "Annotation",
        "body": [] if region.label == UNCLASSIFIED else [body],
        "target": {
            "source": source,
            "selector": {"type": "SvgSelector", "value": svg_of(region.polygons)},
        },
    }


def _rings(selector: _Selector | list[_Selector]) -> list[Ring]:
    """Outlines of the first selector; several say the same in other words."""
    first = selector[0] if isinstance(selector, list) and selector else selector
    if isinstance(first, list):
        raise SvgError("no selector")
    rings = rings_of(first.value) if first.type == "SvgSelector" else [_fragment(first.value)]
    if any((~(np.abs(ring) <= LARGEST_COORDINATE)).any() for ring in rings):
        raise SvgError(f"a coordinate beyond {LARGEST_COORDINATE:.0e} pixels")
    return rings


def _fragment(value: str) -> Ring:
    found = _FRAGMENT.fullmatch(value.strip())
    try:
        numbers = [float(text) for text in found.groups()] if found else []
    except ValueError:
        numbers = []
    if not numbers or not all(map(math.isfinite, numbers)):
        raise SvgError(f"fragment {value[:80]!r} is not read: expected xywh=pixel:x,y,w,h")
    return rectangle(*numbers)


def _label(body: list[_Body] | _Body | str | None) -> str | None:
    """The value of the body that names a class, or of the first one that says anything."""
    if isinstance(body, str) or body is None:
        return body
    bodies = [part for part in (body if isinstance(body, list) else [body]) if part.value]
    naming = [part for part in bodies if _names(part)]
    return (naming or bodies)[0].value if bodies else None


def _names(body: _Body) -> bool:
    purposes = body.purpose if isinstance(body.purpose, list) else [body.purpose]
    return any(purpose in _NAMING for purpose in purposes)
