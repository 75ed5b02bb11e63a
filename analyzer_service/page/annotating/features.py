"""One mark as a GeoJSON feature: checked, repaired, and stamped with what had been seen."""

import json
import re
import uuid
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, Final, TypeGuard

from analyzer_service.annotations.geojson import classification_in, feature_of, read_feature
from analyzer_service.annotations.points import read_point
from analyzer_service.annotations.regions import FAULTS
from analyzer_service.page.annotating.record import Record

MOST_VERTICES: Final = 100_000
LONGEST_LABEL: Final = 100
_NAMESPACE: Final = uuid.UUID("9f0f2f5e-6a0b-4b7e-8d52-0f4c1f6f7a11")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
STAMP: Final = "sidelight"

Feature = dict[str, Any]


class FeatureError(ValueError):
    """A feature that is not taken; says why."""


def is_feature_id(value: Any) -> TypeGuard[str]:
    """Whether a feature can be called so: a UUID, as QuPath and browsers make them."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def geometry_of(feature: Mapping[str, Any]) -> dict[str, Any]:
    """Geometry of a feature, sound: a Polygon or MultiPolygon without crossings, or a Point.

    Raises
    ------
    FeatureError
        If it is neither, encloses nothing, or has more than 100,000 vertices.
    """
    geometry = feature.get("geometry")
    if not isinstance(geometry, Mapping):
        raise FeatureError("a feature without a geometry")
    if geometry.get("type") == "Point":
        try:
            return {"type": "Point", "coordinates": list(read_point(geometry))}
        except ValueError as error:
            raise FeatureError(str(error)) from error
    if count_vertices(geometry.get("coordinates")) > MOST_VERTICES:
        raise FeatureError(f"more than {MOST_VERTICES:,} vertices: simplify the outline")
    bare = {"type": "Feature", "geometry": geometry}
    item = read_feature(bare, "feature")
    if item.region is None:
        fault = item.faults[0]
        raise FeatureError(f"{fault.what or FAULTS[fault.kind]}: draw a polygon or set a point")
    if not {"open", "crossing"} & {fault.kind for fault in item.faults}:
        return {"type": geometry["type"], "coordinates": geometry["coordinates"]}
    repaired: dict[str, Any] = feature_of(item.region)["geometry"]
    return repaired


def count_vertices(coordinates: Any) -> int:
    """How many positions there are in nested lists of them."""
    count, waiting = 0, [coordinates]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, list):
            continue
        if part and not isinstance(part[0], list):
            count += 1
        else:
            waiting += part
    return count


def classification_of(properties: Mapping[str, Any], colors: Mapping[str, Any]) -> dict[str, Any]:
    """``{"classification": ...}`` with the class's color, or nothing for a mark without a class.

    Raises
    ------
    FeatureError
        If the class's name is no text of 1 to 100 characters.
    """
    given = properties.get("classification")
    if given is None:
        return {}
    name = given.get("name") if isinstance(given, Mapping) else given
    if not isinstance(name, str) or not 1 <= len(name.strip()) <= LONGEST_LABEL:
        raise FeatureError(f"a class's name must be text of 1 to {LONGEST_LABEL} characters")
    color = colors.get(name.strip())
    if color is None and isinstance(given, Mapping) and _is_color(given.get("color")):
        color = given["color"]
    return {
        "classification": {"name": name.strip()} | ({} if color is None else {"color": list(color)})
    }


def put_feature(
    given: Mapping[str, Any],
    before: Feature | None,
    *,
    record: Record,
    at: str,
    colors: Mapping[str, Any],
) -> Feature:
    """Feature that `given` becomes, in place of `before` if there was one of its id.

    What a program wrote into the earlier one, such as QuPath's measurements, stays in it.

    Raises
    ------
    FeatureError
        If it is not taken.
    """
    properties = given.get("properties")
    given_properties = properties if isinstance(properties, Mapping) else {}
    kept = dict(before.get("properties") or {}) if before else {}
    kept.pop("classification", None)
    tool = _tool(given_properties) or _tool(kept) or "unknown"
    created = stamp_of(kept).get("created_at", at)
    return {
        "type": "Feature",
        "id": given["id"],
        "geometry": geometry_of(given),
        "properties": {
            **kept,
            "objectType": kept.get("objectType", "annotation"),
            **classification_of(given_properties, colors),
            "isLocked": given_properties.get("isLocked") is True,
            STAMP: stamp(record, tool=tool, created=created, at=at),
        },
    }


def stamp(record: Record, *, tool: str, created: str, at: str) -> dict[str, Any]:
    """Who a mark comes from, when, and what had been shown on its tile by then."""
    return {
        "tool": tool,
        "created_at": created,
        "changed_at": at,
        "attention_shown": record.attention_shown_at is not None,
        "others_shown": record.others_shown_at is not None,
    }


def stamp_of(properties: Any) -> dict[str, Any]:
    """A feature's stamp; empty where it has none."""
    found = properties.get(STAMP) if isinstance(properties, Mapping) else None
    sound = isinstance(found, dict) and isinstance(found.get("created_at"), str)
    return dict(found) if sound and isinstance(found, dict) else {}


def id_for(feature: Mapping[str, Any], taken: Mapping[str, Any]) -> str:
    """An id for a feature that has none: the same each time that the same file is read."""
    text = json.dumps(feature, sort_keys=True)
    number = 0
    while (made := str(uuid.uuid5(_NAMESPACE, f"{number}:{text}"))) in taken:
        number += 1
    return made


def digest(value: Any) -> str:
    """A few characters that tell whether something is what it was."""
    text = json.dumps(value, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=12).hexdigest()


def foreign_properties(feature: Mapping[str, Any]) -> dict[str, Any]:
    """Properties that another program wrote, its class and kind as this page and QuPath spell them.

    What nobody can read as a class is none; what else is in them stays.
    """
    found = feature.get("properties")
    properties = dict(found) if isinstance(found, Mapping) else {}
    kind = properties.get("objectType", properties.pop("object_type", None))
    name, color = classification_in(properties)
    properties.pop("classification", None)
    if name is not None:
        more = {} if color is None else {"color": list(color)}
        properties["classification"] = {"name": name, **more}
    readable = isinstance(kind, str) and 1 <= len(kind) <= LONGEST_LABEL
    properties["objectType"] = kind if readable else "annotation"
    properties["isLocked"] = properties.get("isLocked") is True
    return properties


def label_of(feature: Mapping[str, Any]) -> str | None:
    """Name of the class of a feature that this page wrote or took in."""
    classification = feature["properties"].get("classification")
    name = classification.get("name") if isinstance(classification, Mapping) else None
    return name if isinstance(name, str) else None


def _tool(properties: Mapping[str, Any]) -> str | None:
    found = properties.get(STAMP)
    tool = found.get("tool") if isinstance(found, Mapping) else None
    return tool if isinstance(tool, str) and 1 <= len(tool) <= 40 else None


def _is_color(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(type(part) is int and 0 <= part <= 255 for part in value)
    )
