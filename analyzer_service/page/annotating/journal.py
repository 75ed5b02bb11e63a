"""The audit log of a reader: who did what, when, and what had been shown by then."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from stat import S_ISREG
from threading import Lock
from typing import Any, Final

from pydantic import ValidationError

from analyzer_service.page.annotating import durable
from analyzer_service.page.annotating.record import Record
from analyzer_service.page.answers import PageError

JOURNAL_FILE: Final = "audit.jsonl"


@dataclass
class Trace:
    """What the log says of a tile: enough to go on where another program lost it.

    Attributes
    ----------
    revision : int
        The last one that was written, or was about to be.
    record : Record
        After it.
    stamps : dict of str to (dict, str)
        Of each mark, and the digest of its geometry.
    """

    revision: int = 0
    record: Record = field(default_factory=Record)
    stamps: dict[str, tuple[dict[str, Any], str]] = field(default_factory=dict)


class Journal:
    """``audit.jsonl`` of a reader's folder; read once, then only what was added."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / JOURNAL_FILE
        self._offset = 0
        self._last = b""
        self._traces: dict[str, Trace] = {}
        self._lock = Lock()

    def trace(self, tile: str) -> Trace:
        """What the log says of a tile by now.

        Raises
        ------
        PageError
            409, if it cannot be read.
        """
        with self._lock:
            self._catch_up()
            found = self._traces.get(tile, Trace())
            return replace(found, stamps=dict(found.stamps))  # another thread may read on

    def known_revision(self, tile: str) -> int:
        """The last revision of a tile that was read in the log so far; 0 if none was."""
        with self._lock:
            trace = self._traces.get(tile)
            return trace.revision if trace else 0

    def add(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Add lines, on disk at the return; the caller holds the folder's lock.

        Raises
        ------
        PageError
            As of `durable.append`.
        """
        durable.append(self.path, b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def _catch_up(self) -> None:
        try:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return
        except OSError as error:
            raise durable.cannot("read", self.path, error) from error
        if not S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PageError(409, f"{self.path.name} is no regular file: move it away to go on.")
        with open(descriptor, "rb") as file:
            # A file that takes a deleted one's place often gets its inode, too.
            file.seek(self._offset - len(self._last))
            if file.read(len(self._last)) != self._last:
                self._offset, self._last, self._traces = 0, b"", {}
                file.seek(0)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._last = line
                self._take(line)

    def _take(self, text: bytes) -> None:
        """Learn from one line; one that a cut or a person spoiled says nothing."""
        try:
            line = json.loads(text)
            trace = self._traces.setdefault(line["tile"], Trace())
            trace.revision = max(trace.revision, int(line["revision"]))
            if "record" in line:
                trace.record = Record.model_validate(line["record"])
            _remember(trace, line)
        except (ValueError, KeyError, TypeError, AttributeError, ValidationError, RecursionError):
            return


def _remember(trace: Trace, line: Mapping[str, Any]) -> None:
    if line["op"] == "put":
        trace.stamps[line["feature"]] = (line["stamp"], line["geometry"])
    elif line["op"] == "delete":
        trace.stamps.pop(line["feature"], None)
    for id_ in line.get("gone", ()):
        trace.stamps.pop(id_, None)
    for id_, geometry in line.get("taken", {}).items():
        trace.stamps[id_] = (trace.stamps.get(id_, ({}, ""))[0], geometry)


def audit_lines(
    lines: Iterable[Mapping[str, Any]], *, reader: str, tile: str, at: str, revision: int
) -> list[dict[str, Any]]:
    """Lines with what all of a request share before what each says."""
    shared = {"time": at, "reader": reader, "tile": tile, "revision": revision}
    return [shared | dict(line) for line in lines]
