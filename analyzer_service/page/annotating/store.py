"""Reading and changing readers' documents: one change at a time, on disk before it is answered."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Final

from analyzer_service.annotations.regions import UNCLASSIFIED
from analyzer_service.page.annotating import durable
from analyzer_service.page.annotating.document import Document, parse, serialize
from analyzer_service.page.annotating.durable import ChangedMeanwhile, Signature
from analyzer_service.page.annotating.features import label_of
from analyzer_service.page.annotating.journal import Journal, audit_lines
from analyzer_service.page.annotating.ops import Line
from analyzer_service.page.annotating.readers import ReaderFolders
from analyzer_service.page.annotating.record import Status, now
from analyzer_service.page.annotating.taking_in import not_there, take_in
from analyzer_service.page.answers import PageError

LARGEST_DOCUMENT: Final = 64 << 20
_SUFFIX: Final = ".geojson"
_TRIES: Final = 20

Change = Callable[[Document, str], tuple[Document, list[Line]]]
"""What becomes of a document at a time, with lines for the audit log; none: nothing changed."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list of tiles says of one reader's marks of a tile.

    `labels` are the classes of areas in it, none of a tile that was skipped.
    """

    status: Status = "open"
    regions: int = 0
    revision: int = 0
    labels: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Loaded:
    document: Document
    lines: list[Line]
    signature: Signature | None


class Annotations:
    """The documents of one run's readers.

    Safe in threads and beside other processes; holds nothing that is not also on disk.
    """

    def __init__(self, readers: ReaderFolders) -> None:
        self.readers = readers
        self._journals: dict[Path, Journal] = {}
        self._summaries: dict[Path, tuple[Signature, Summary]] = {}
        self._lock = Lock()

    def read(self, reader: str, tile: str) -> Document:
        """A reader's document of a tile, empty if there is none.

        What another program wrote is taken in, for good where the folder may be written to.

        Raises
        ------
        PageError
            409, if the file cannot be read.
        """
        folder = self.readers.find(reader)
        if folder is None:
            return Document()
        loaded = self._load(folder, tile, now())
        if not loaded.lines:
            return loaded.document
        try:
            return self.change(reader, tile, lambda document, _: (document, []))
        except PageError as error:
            if error.status not in (403, 503, 507):
                raise
            return loaded.document.but(revision=loaded.document.revision + 1)

    def change(self, reader: str, tile: str, change: Change) -> Document:
        """Change a reader's document of a tile; it is on disk at the return.

        Raises
        ------
        PageError
            What `change` raises; 403, 409, 503 or 507, if it cannot be written.
        """
        folder = self.readers.make(reader)
        with durable.locked(folder):
            for _ in range(_TRIES):
                try:
                    return self._change(folder, reader, tile, change)
                except ChangedMeanwhile:
                    continue
        raise PageError(503, "Another program keeps writing this tile's marks: try again.")

    def with_files(self, folder: Path) -> set[str]:
        """Names of tiles that have a file in a reader's folder."""
        try:
            return {name.removesuffix(_SUFFIX) for name in os.listdir(folder)}
        except OSError:
            return set()

    def summary(self, folder: Path, tile: str) -> Summary:
        """What a list of tiles says of a tile in a folder; open where it cannot be read."""
        path = _file(folder, tile)
        try:
            found = durable.signature(path)
            if found is None:
                revision = self._journal(folder).known_revision(tile)
                return Summary(revision=revision + 1 if revision else 0)
            known = self._summaries.get(path)
            if known is None or known[0] != found:
                known = (found, self._summarize(folder, tile))
                self._summaries[path] = known
        except PageError:
            return Summary()
        return known[1]

    def _summarize(self, folder: Path, tile: str) -> Summary:
        loaded = self._load(folder, tile, now())
        document = loaded.document
        revision = document.revision + bool(loaded.lines)
        labels = labels_in(document) if document.status == "marked" else frozenset()
        return Summary(document.status, len(document.features), revision, labels)

    def _change(self, folder: Path, reader: str, tile: str, change: Change) -> Document:
        at = now()
        loaded = self._load(folder, tile, at)
        document, lines = change(loaded.document, at)
        if not lines and not loaded.lines:
            return document
        document = document.but(revision=document.revision + 1)
        said = audit_lines(
            [*loaded.lines, *lines], reader=reader, tile=tile, at=at, revision=document.revision
        )
        said[-1]["record"] = document.record.model_dump(mode="json")
        data = serialize(document, tile=tile, image=f"{tile}.png", reader=reader)
        if len(data) > LARGEST_DOCUMENT:
            raise PageError(
                422, f"The marks of a tile may take {LARGEST_DOCUMENT >> 20} MiB: simplify some."
            )
        durable.replace(
            _file(folder, tile),
            data,
            read_as=loaded.signature,
            before=lambda: self._journal(folder).add(said),
        )
        return document

    def _load(self, folder: Path, tile: str, at: str) -> _Loaded:
        path = _file(folder, tile)
        found = durable.read(path)
        trace = self._journal(folder).trace(tile)
        if found is None:
            return _Loaded(*not_there(trace), None)
        data, signature = found
        try:
            content = parse(data)
            document, lines = take_in(content, trace, at=at)
        except (ValueError, RecursionError) as error:
            why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:200]
            raise PageError(
                409,
                f"{folder.name}/{path.name} holds no annotations ({why}). If another program is "
                "writing it, try again; else move it away.",
            ) from error
        return _Loaded(document, lines, signature)

    def _journal(self, folder: Path) -> Journal:
        with self._lock:
            return self._journals.setdefault(folder, Journal(folder))


def labels_in(document: Document) -> frozenset[str]:
    """Classes of a document's areas."""
    return frozenset(
        label_of(feature) or UNCLASSIFIED
        for feature in document.features.values()
        if feature["geometry"]["type"] != "Point"
    )


def _file(folder: Path, tile: str) -> Path:
    return folder / f"{tile}{_SUFFIX}"


def document_facts(reader: str, tile: str, document: Document) -> Mapping[str, Any]:
    """The answer about a document of a tile."""
    return {"tile": tile, "reader": reader, **document.answer()}
