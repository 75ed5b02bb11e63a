"""What a reader is shown of marks: their own, and others' only after that is on record."""

from typing import Any

from analyzer_service.page.annotating.document import Document
from analyzer_service.page.annotating.ops import Line, seen_by
from analyzer_service.page.annotating.store import Annotations, document_facts
from analyzer_service.page.answers import PageError


def marks(annotations: Annotations, reader: str, tile: str) -> dict[str, Any]:
    """A reader's own marks of a tile.

    Raises
    ------
    PageError
        409, if they cannot be read.
    """
    return dict(document_facts(reader, tile, annotations.read(reader, tile)))


def marks_with_others(annotations: Annotations, reader: str, tile: str) -> dict[str, Any]:
    """A reader's own marks and those of others; that these were shown is on disk before.

    Raises
    ------
    PageError
        403, 409, 503 or 507, if that cannot be written or marks cannot be read.
    """
    own = show_others(annotations, reader, tile)
    return {**document_facts(reader, tile, own), "others": others_of(annotations, reader, tile)}


def show_others(annotations: Annotations, reader: str, tile: str) -> Document:
    """Put on record, the first time, that others' marks of a tile were shown to a reader."""
    own = annotations.read(reader, tile)
    if own.record.others_shown_at is not None:
        return own
    return annotations.change(reader, tile, _shown)


def others_of(annotations: Annotations, reader: str, tile: str) -> list[dict[str, Any]]:
    """Marks of all other readers who marked or recorded something in the tile."""
    found = []
    for name in annotations.readers.owners():
        if name == reader:
            continue
        try:
            document = annotations.read(name, tile)
        except PageError:
            continue  # what is wrong with another's file is for them to be told
        if document.status != "open":
            facts = document.answer()
            found.append({"reader": name, **{key: facts[key] for key in ("features", "record")}})
    return found


def _shown(document: Document, at: str) -> tuple[Document, list[Line]]:
    record = document.record.but(others_shown_at=document.record.others_shown_at or at)
    line = {"op": "shown", "what": "others", "layer": None, **seen_by(record)}
    return document.but(record=record), [line]
