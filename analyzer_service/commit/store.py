"""The only writer of `metrics.sqlite`: facts as they came, one transaction a commit.

Everything here is idempotent: a record on (producer, incarnation, cseq), a frame on (producer,
incarnation, stream, fseq). Nothing may be acknowledged before its transaction has ended.
"""

import logging
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from analyzer_service.commit.books import StreamBooks
from analyzer_service.commit.database import StoreError, open_writer
from analyzer_service.commit.log_size import LogSize
from analyzer_service.commit.maps import PackedMaps
from analyzer_service.commit.packing import NameLists
from shared.messages import DropNotice, RunStarted

logger = logging.getLogger(__name__)

FrameState = Literal["analyzed", "failed", "undecodable"]


@dataclass(frozen=True, slots=True)
class OwnOutcome:
    """How an own analysis ended: which one (its source's identity), and what went wrong."""

    analyzer: str
    error: str | None = None


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """A frame as it is kept; `part` and `samples` are empty unless it was analyzed.

    `samples` pairs each tile's description (JSON) with its metrics. `maps` are those of a
    validation frame, for the comparison with its epoch's neighbors; `tile_maps` those of each of
    its tiles with the tissue's beside them, for the run's tests. `own` is of an analysis of the
    user's, if one looked at the frame; its numbers are in `part`.
    """

    stream: str
    fseq: int
    state: FrameState
    error: str | None = None
    phase: str | None = None
    phase_step: int | None = None
    part: dict[str, float] | None = None
    samples: Sequence[tuple[str, dict[str, float]]] = ()
    file: str | None = None
    file_bytes: int = 0
    maps: PackedMaps | None = None
    tile_maps: Sequence[PackedMaps] = ()
    own: OwnOutcome | None = None


@dataclass(frozen=True, slots=True)
class FoundFrame:
    """What a release needs of a stored frame."""

    id: int
    state: FrameState
    phase: str | None
    phase_step: int | None
    part: dict[str, float] | None


class Store:
    """Facts of one run; writes only inside `transaction`.

    Raises
    ------
    StoreError
        From `transaction`, when SQLite cannot write.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.connection = open_writer(folder)
        self.lists = NameLists(self.connection)
        self.log_size = LogSize(self.connection, folder)
        self._unsaid: list[tuple[int, str]] = []

    def close(self) -> None:
        """Close the database, with all that was committed in its one file.

        SQLite itself sees to that, unless somebody reads the run at that moment; then this waits
        for what is being read, but not for long.
        """
        with suppress(sqlite3.Error):
            self.connection.execute("PRAGMA busy_timeout = 1000")
            self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing: what happens inside is committed, or none of it on any error."""
        try:
            self.connection.execute("BEGIN IMMEDIATE")
            yield
            self.connection.execute("COMMIT")
        except BaseException as error:
            # SQLite itself ends a transaction on some errors, a full disk among them.
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self.lists.forget()
            self._unsaid.clear()
            if isinstance(error, sqlite3.Error):
                message = f"{self.folder}: the run could not be committed: {error}"
                raise StoreError(message) from error
            raise
        self.log_size.committed()
        unsaid, self._unsaid = self._unsaid, []
        for level, words in unsaid:
            logger.log(level, "%s", words)

    def say(self, level: int, words: str) -> None:
        """Log `words` once the transaction has ended: one that fails is tried again and again."""
        self._unsaid.append((level, words))

    def get(self, key: str) -> Any:
        """Value of `key` in `state`, None where there is none."""
        query = "SELECT value FROM state WHERE key = ?"
        found = self.connection.execute(query, (key,)).fetchone()
        return None if found is None else found[0]

    def put(self, **values: Any) -> None:
        """Set values in `state`; None deletes."""
        for key, value in values.items():
            if value is None:
                self.connection.execute("DELETE FROM state WHERE key = ?", (key,))
            else:
                self.connection.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (key, value))

    def add_producer(self, started: RunStarted) -> int:
        """Number of the producer's start, made if it is new; its facts are kept as said last."""
        self.connection.execute(
            "INSERT INTO producers (producer, incarnation, started) VALUES (?, ?, ?) "
            "ON CONFLICT (producer, incarnation) DO UPDATE SET started = excluded.started",
            (started.producer, started.incarnation, started.model_dump_json()),
        )
        query = "SELECT id FROM producers WHERE producer = ? AND incarnation = ?"
        found = self.connection.execute(query, (started.producer, started.incarnation))
        number: int = found.fetchone()[0]
        return number

    def add_record(self, origin: int, cseq: int, payload: bytes) -> None:
        """Keep a critical message; one that is there stays as it is."""
        self.connection.execute(
            "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (origin, cseq, payload)
        )

    def add_drop(self, origin: int, cseq: int, notice: DropNotice) -> None:
        """Keep a drop notice where it can be found by its frames."""
        self.connection.execute(
            "INSERT INTO drops VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (origin, cseq, notice.stream, notice.first_fseq, notice.last_fseq, notice.reason),
        )

    def record(self, origin: int, cseq: int) -> bytes | None:
        """Payload of record `cseq`, None where it has not come."""
        query = "SELECT payload FROM records WHERE origin = ? AND cseq = ?"
        found = self.connection.execute(query, (origin, cseq)).fetchone()
        return None if found is None else found[0]

    def record_after(self, origin: int, cseq: int) -> int | None:
        """Lowest cseq from `cseq` on that has come."""
        query = "SELECT min(cseq) FROM records WHERE origin = ? AND cseq >= ?"
        found: int | None = self.connection.execute(query, (origin, cseq)).fetchone()[0]
        return found

    def add_frame(self, origin: int, frame: StoredFrame) -> None:
        """Keep a frame's results with its tiles; one that is there stays as it is."""
        number, blob = self.lists.pack(frame.part) if frame.part is not None else (None, None)
        cursor = self.connection.execute(
            "INSERT INTO frames (origin, stream, fseq, state, error, phase, phase_step, "
            "name_list, metrics, file, file_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO NOTHING",
            (
                *(origin, frame.stream, frame.fseq, frame.state, frame.error, frame.phase),
                *(frame.phase_step, number, blob, frame.file, frame.file_bytes),
            ),
        )
        if cursor.rowcount == 0:
            return
        id_ = cursor.lastrowid
        rows = [
            (id_, position, sample, *self.lists.pack(values))
            for position, (sample, values) in enumerate(frame.samples)
        ]
        self.connection.executemany("INSERT INTO samples VALUES (?, ?, ?, ?, ?)", rows)
        if frame.maps is not None:
            layers, blob = frame.maps
            values = (id_, layers, len(blob), blob)
            self.connection.execute("INSERT INTO maps VALUES (?, ?, ?, ?)", values)
        if frame.own is not None:
            own = (id_, frame.own.analyzer, frame.own.error)
            self.connection.execute("INSERT INTO own_results VALUES (?, ?, ?)", own)
        tiles = [(id_, position, *packed) for position, packed in enumerate(frame.tile_maps)]
        self.connection.executemany("INSERT INTO tile_maps VALUES (?, ?, ?, ?)", tiles)

    def frame(self, origin: int, stream: str, fseq: int) -> FoundFrame | None:
        """Stored frame, None where it has not come."""
        query = (
            "SELECT id, state, phase, phase_step, name_list, metrics FROM frames "
            "WHERE origin = ? AND stream = ? AND fseq = ?"
        )
        found = self.connection.execute(query, (origin, stream, fseq)).fetchone()
        if found is None:
            return None
        id_, state, phase, step, number, blob = found
        part = None if blob is None else self.lists.unpack(number, blob)
        return FoundFrame(id_, state, phase, step, part)

    def put_books(self, origin: int, stream: str, books: StreamBooks) -> None:
        """Keep the counts of a stream."""
        self.connection.execute(
            "INSERT OR REPLACE INTO streams VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(origin, stream, books.offered, books.delivered, books.dropped),
                *(books.pending, books.late, books.floor),
            ),
        )
        self.connection.executemany(
            "INSERT OR REPLACE INTO drop_counts VALUES (?, ?, ?, ?)",
            [(origin, stream, reason, count) for reason, count in books.reasons.items()],
        )

    def count_failure(self, kind: str, last: str, *, count: int = 1) -> None:
        """Count `count` contained failures of a kind."""
        self.connection.execute(
            "INSERT INTO failures VALUES (?, ?, ?) ON CONFLICT (kind) DO UPDATE "
            "SET count = count + excluded.count, last = excluded.last",
            (kind, count, last[:1000]),
        )
