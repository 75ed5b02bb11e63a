"""What a browser asks to be done to a tile's marks, and what becomes of them."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from analyzer_service.annotations.items import in_words
from analyzer_service.page.annotating.document import MOST_FEATURES, OPS_KEPT, Document
from analyzer_service.page.annotating.features import (
    FeatureError,
    digest,
    is_feature_id,
    label_of,
    put_feature,
    stamp_of,
)
from analyzer_service.page.annotating.record import Record
from analyzer_service.page.answers import PageError

MOST_OPS: Final = 500
Line = dict[str, Any]
OpId = Annotated[str, Field(strict=True, min_length=1, max_length=64)]
Layer = Annotated[str, Field(strict=True, max_length=256)]


class _Op(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    op_id: OpId


class Put(_Op):
    """Add a mark, or replace the one of this id."""

    op: Literal["put"]
    feature: dict[str, Any]


class Delete(_Op):
    """Take a mark away; one that is not there is no mistake: another tab was faster."""

    op: Literal["delete"]
    id: Annotated[str, Field(strict=True, max_length=64)]


class Say(_Op):
    """Set a part of the record."""

    op: Literal["record"]
    field: Literal["confidence", "comment", "skip_reason", "nothing"]
    value: Any = None


class Shown(_Op):
    """Attention, or others' marks, were made visible."""

    op: Literal["shown"]
    what: Literal["attention", "others"]
    layer: Layer | None = None


Op = Annotated[Put | Delete | Say | Shown, Field(discriminator="op")]
_OPS: Final = TypeAdapter(Annotated[list[Op], Field(max_length=MOST_OPS)])
assert MOST_OPS < OPS_KEPT  # a request that is sent again is known as a whole


def read_ops(content: Any) -> list[Op]:
    """Operations of a request.

    Raises
    ------
    PageError
        422, if they are none; names the one.
    """
    listed = content.get("ops") if isinstance(content, Mapping) else None
    if not isinstance(listed, list):
        raise PageError(422, 'Expected {"ops": [...]}.')
    try:
        ops = _OPS.validate_python(listed)
    except ValidationError as error:
        raise PageError(422, f"ops.{in_words(error)}") from error
    for number, op in enumerate(ops):
        if isinstance(op, Shown) and op.what != "attention":
            raise PageError(422, f"ops.{number}: only attention is shown by an operation")
    return ops


def apply_ops(
    document: Document, ops: Sequence[Op], *, at: str, colors: Mapping[str, Any]
) -> tuple[Document, list[Line]]:
    """The document after operations, all of them, and a line for the audit log of each.

    Those that were applied before are left out.

    Raises
    ------
    PageError
        422, if one cannot be applied; names it.
    """
    done = set(document.ops)
    features, record = dict(document.features), document.record
    lines: list[Line] = []
    for number, op in enumerate(ops):
        if op.op_id in done:
            continue
        done.add(op.op_id)
        try:
            record, line = _apply(op, features, record, at, colors)
        except FeatureError as error:
            raise PageError(422, f"ops.{number} ({op.op}): {error}.") from error
        lines.append({"op": op.op, "op_id": op.op_id, **line, **seen_by(record)})
    if not lines:
        return document, []
    applied = (*document.ops, *(line["op_id"] for line in lines))[-OPS_KEPT:]
    return document.but(features=features, record=record, ops=applied), lines


def seen_by(record: Record) -> Line:
    """What had been shown, for the audit log."""
    return {
        "attention_shown": record.attention_shown_at is not None,
        "others_shown": record.others_shown_at is not None,
    }


def _apply(
    op: Op, features: dict[str, Any], record: Record, at: str, colors: Mapping[str, Any]
) -> tuple[Record, Line]:
    """Apply one operation to `features`; the record after it, and what to tell of it."""
    if isinstance(op, Put):
        return record.but(nothing=False), _put(op, features, record, at, colors)
    if isinstance(op, Delete):
        found = features.pop(op.id, None)
        return record, {"feature": op.id, "found": found is not None}
    if isinstance(op, Shown):
        field = f"{op.what}_shown_at"
        first = getattr(record, field) or at
        return record.but(**{field: first}), {"what": op.what, "layer": op.layer}
    return _say(op, features, record), {"field": op.field, "value": op.value}


def _put(
    op: Put, features: dict[str, Any], record: Record, at: str, colors: Mapping[str, Any]
) -> Line:
    id_ = op.feature.get("id")
    if not is_feature_id(id_):
        raise FeatureError("the feature's id must be a UUID")
    before = features.get(id_)
    if before is None and len(features) >= MOST_FEATURES:
        raise FeatureError(f"a tile holds {MOST_FEATURES:,} marks at most")
    after = put_feature(op.feature, before, record=record, at=at, colors=colors)
    features[id_] = after
    return {
        "feature": id_,
        "new": before is None,
        "class": label_of(after),
        "geometry": digest(after["geometry"]),
        "stamp": stamp_of(after["properties"]),
    }


def _say(op: Say, features: Mapping[str, Any], record: Record) -> Record:
    try:
        said = Record.model_validate({op.field: op.value})
    except ValidationError as error:
        raise FeatureError(in_words(error)) from error
    value = getattr(said, op.field)
    if op.field == "nothing" and value:
        if features:
            raise FeatureError("there are marks in this tile: delete them to say there is nothing")
        return record.but(nothing=True, skip_reason=None)
    if op.field == "skip_reason" and value is not None:
        return record.but(skip_reason=value, nothing=False)
    return record.but(**{op.field: value})
