"""What another program wrote into a reader's file, made the page's own; nothing of it is lost."""

from collections.abc import Mapping
from typing import Any

from analyzer_service.page.annotating.document import Content, Document
from analyzer_service.page.annotating.features import (
    STAMP,
    Feature,
    digest,
    label_of,
    stamp,
    stamp_of,
)
from analyzer_service.page.annotating.journal import Trace
from analyzer_service.page.annotating.ops import Line, seen_by
from analyzer_service.page.annotating.record import Record


def take_in(content: Content, trace: Trace, *, at: str) -> tuple[Document, list[Line]]:
    """Document of a file as it stands, and lines for the audit log about what is not as we left it.

    A file in which our record is gone, as QuPath writes it, gets back what the log remembers: the
    record, and the stamps of marks whose ids it kept. An empty one without a record says that
    there is nothing, as QuPath's export of nothing does. The document's `revision` is the last one
    known; where there are lines the next one is to be written.
    """
    document, lines = content.document, []
    if _is_untouched(content) and not trace.revision:
        return Document(), []  # of the task list
    if document.revision < trace.revision and content.has_member:
        # Ended between the log and the file: those revisions were never answered.
        gone = [id_ for id_ in trace.stamps if id_ not in document.features]
        until = {"kept": document.revision, "until": trace.revision, "gone": gone}
        lines.append({"op": "not_kept", **until, **seen_by(document.record)})
    if lines or content.foreign:
        document = document.but(record=_with_shown(document.record, trace.record))
    if content.foreign:
        record = _record(content, document.record, trace)
        features = {
            id_: _stamped(feature, trace.stamps.get(id_), record, at)
            for id_, feature in document.features.items()
        }
        lines.append(_line(document.features, trace) | seen_by(record))
        document = document.but(features=features, record=record)
    return document.but(revision=max(document.revision, trace.revision)), lines


def not_there(trace: Trace) -> tuple[Document, list[Line]]:
    """Document of a tile without a file, and a line where the log knows of one.

    Someone deleted it, or the page ended between the log and the file. What was shown stays said.
    """
    if not trace.revision:
        return Document(), []
    document = Document(revision=trace.revision, record=_with_shown(Record(), trace.record))
    line = {"op": "not_there", "gone": list(trace.stamps), **seen_by(document.record)}
    return document, [line]


def _is_untouched(content: Content) -> bool:
    """Whether the file is as the task list has it."""
    empty = not content.document.features and not content.document.others
    return content.to_do and empty and not content.has_member


def _with_shown(record: Record, known: Record) -> Record:
    """The record; what is known to have been shown stays said, whatever became of a file."""
    return record.but(
        attention_shown_at=record.attention_shown_at or known.attention_shown_at,
        others_shown_at=record.others_shown_at or known.others_shown_at,
    )


def _record(content: Content, own: Record, trace: Trace) -> Record:
    record = own if content.has_member else trace.record
    if content.document.features:
        return record.but(nothing=False)
    empty = not content.has_member and not content.to_do and not content.document.others
    return record.but(nothing=True, skip_reason=None) if empty else record


def _stamped(
    feature: Feature, known: tuple[dict[str, Any], str] | None, record: Record, at: str
) -> Feature:
    """The feature with a stamp: its own, the one that the log has, or a new one."""
    properties = dict(feature["properties"])
    found = stamp_of(properties) or (known[0] if known else {})
    unchanged = known is None or known[1] == digest(feature["geometry"])
    if not found:
        found = stamp(record, tool="file", created=at, at=at)
    elif not unchanged:
        found = stamp(record, tool="file", created=found["created_at"], at=at)
    return feature | {"properties": properties | {STAMP: found}}


def _line(features: Mapping[str, Feature], trace: Trace) -> Line:
    new = {id_: digest(feature["geometry"]) for id_, feature in features.items()}
    known = {id_: geometry for id_, (_, geometry) in trace.stamps.items()}
    return {
        "op": "taken_in",
        "taken": {id_: geometry for id_, geometry in new.items() if known.get(id_) != geometry},
        "changed": [id_ for id_, geometry in new.items() if known.get(id_, geometry) != geometry],
        "gone": [id_ for id_ in known if id_ not in new],
        "classes": sorted({label_of(feature) or "" for feature in features.values()}),
    }
