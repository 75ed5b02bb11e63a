"""One reader's marks of one tile, as the file has them: QuPath's GeoJSON with our own member."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any, Final

from pydantic import ValidationError

from analyzer_service.annotations.files import OWN_MEMBER, TO_DO, features_in
from analyzer_service.page.annotating.features import (
    Feature,
    FeatureError,
    foreign_properties,
    geometry_of,
    id_for,
    is_feature_id,
)
from analyzer_service.page.annotating.record import Record, Status

MOST_FEATURES: Final = 10_000
OPS_KEPT: Final = 1000
_BEFORE_MEMBER: Final = f',"{OWN_MEMBER}":'.encode()
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Document:
    """Marks and record of a tile.

    Attributes
    ----------
    revision : int
        0 as long as nothing was written; each change has a larger one.
    record : Record
    features : dict of str to Feature
        Polygons, MultiPolygons and Points, by id.
    others : tuple
        What else is in the file, such as lines; kept as it is, not shown.
    ops : tuple of str
        Ids of the last operations.
    """

    revision: int = 0
    record: Record = field(default_factory=Record)
    features: Mapping[str, Feature] = field(default_factory=dict)
    others: tuple[Any, ...] = ()
    ops: tuple[str, ...] = ()

    @property
    def status(self) -> Status:
        """What the tile counts as."""
        return self.record.status(len(self.features))

    def but(self, **changes: Any) -> "Document":
        """The document with some of it changed."""
        return replace(self, **changes)

    def answer(self) -> dict[str, Any]:
        """What the browser gets."""
        return {
            "revision": self.revision,
            "features": list(self.features.values()),
            "record": self.record.model_dump(mode="json"),
        }


@dataclass(frozen=True)
class Content:
    """What a file says: its document, and whether another program wrote it.

    Attributes
    ----------
    document : Document
        Of another program's file: with the revision and record that the file still has, if any.
    foreign : bool
        The file is not as this page wrote it.
    has_member : bool
        Our own member, with the record, is there.
    to_do : bool
        The file says that it is still to be done.
    """

    document: Document
    foreign: bool
    has_member: bool
    to_do: bool


def parse(data: bytes) -> Content:
    """What is in a file, in any of the formats that are read.

    Raises
    ------
    ValueError
        If it is no file of annotations; says why.
    """
    content = load_json(data)
    found = features_in(content)
    if found is None:
        raise ValueError("neither features nor annotations")
    member = content.get(OWN_MEMBER) if isinstance(content, Mapping) else None
    own = _own(member) if isinstance(member, Mapping) else None
    written = member.get("digest") if isinstance(member, Mapping) else None
    foreign = own is None or written != _digest(data[: data.rfind(_BEFORE_MEMBER)])
    if foreign:
        check_finite(found)
    ours = 0 if foreign else len(found) - _count_of_others(member)
    features, others = _sorted(found, ours)
    document = (own or Document()).but(features=features, others=others)
    to_do = isinstance(content, Mapping) and TO_DO in content
    return Content(document, foreign, has_member=own is not None, to_do=to_do)


def serialize(document: Document, *, tile: str, image: str, reader: str) -> bytes:
    """The file of a document.

    One that says nothing yet, be it that attention was looked at, is still to be done: QuPath's
    format has no word for it, and an empty file would say that there is nothing.
    """
    features = [*document.features.values(), *document.others]
    content: dict[str, Any] = {"type": "FeatureCollection", "features": features}
    if document.status == "open" and not document.others:
        content[TO_DO] = {"tile": tile, "image": image}
    head = _dumps(content)[:-1]
    member = {
        "version": 1,
        "tile": tile,
        "reader": reader,
        "revision": document.revision,
        "record": document.record.model_dump(mode="json"),
        "ops": list(document.ops[-OPS_KEPT:]),
        "others": len(document.others),
        "digest": _digest(head),
    }
    return head + _BEFORE_MEMBER + _dumps(member) + b"}"


def check_finite(value: Any) -> None:
    """Check that what was read can be written.

    Raises
    ------
    ValueError
        If it has a number that is infinite.
    """
    _dumps(value)


def load_json(data: bytes) -> Any:
    """JSON without NaN, of text that can be sent on; numbers beyond what fits are infinite.

    Raises
    ------
    ValueError
        If it is none.
    """
    try:
        content = json.loads(data, parse_constant=_refuse)
        return _as_text(content) if b"\\ud" in data.lower() else content
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _dumps(value: Any) -> bytes:
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def _digest(data: bytes) -> str:
    return blake2b(data, digest_size=12).hexdigest()


def _own(member: Mapping[str, Any]) -> Document | None:
    """Revision, record and operations as we wrote them; None if someone wrote something else."""
    revision, ops = member.get("revision"), member.get("ops")
    if type(revision) is not int or not 0 <= revision < 2**53 or not isinstance(ops, list):
        return None
    try:
        record = Record.model_validate(member.get("record"))
    except ValidationError:
        return None
    return Document(revision, record, ops=tuple(op for op in ops if isinstance(op, str)))


def _count_of_others(member: Any) -> int:
    """How many at the end of our own file are none of ours to show."""
    found = member.get("others") if isinstance(member, Mapping) else None
    return found if type(found) is int and found >= 0 else 0


def _sorted(found: list[Any], ours: int) -> tuple[dict[str, Feature], tuple[Any, ...]]:
    """Features by id, each sound, the first `ours` known to be; and what cannot be shown."""
    features: dict[str, Feature] = {}
    others = []
    for number, item in enumerate(found):
        try:
            feature = item if number < ours and _is_ours(item) else _sound(item)
        except FeatureError:
            others.append(item)
            continue
        own = feature.get("id")
        id_ = own if is_feature_id(own) and own not in features else id_for(feature, features)
        features[id_] = {"type": "Feature", "id": id_, **_without(feature, "type", "id")}
    return features, tuple(others)


def _is_ours(item: Any) -> bool:
    shaped = isinstance(item, dict) and item.get("type") == "Feature"
    return shaped and all(isinstance(item.get(part), dict) for part in ("geometry", "properties"))


def _sound(item: Any) -> Feature:
    if not isinstance(item, dict) or item.get("type") != "Feature":
        raise FeatureError("no feature")
    return item | {"geometry": geometry_of(item), "properties": foreign_properties(item)}


def _without(feature: Feature, *names: str) -> Feature:
    return {name: value for name, value in feature.items() if name not in names}


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")


def _as_text(value: Any) -> Any:
    """Half characters, which cannot be sent, are written as what stands for the unreadable."""
    if isinstance(value, str):
        return _SURROGATE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_as_text(part) for part in value]
    if isinstance(value, dict):
        return {_as_text(key): _as_text(part) for key, part in value.items()}
    return value
