"""What must hold of a run's folder after any fault, counted again from what was committed.

Plain SQL on the tables of docs/architecture.md, and the codec: none of the analyzer's own counting.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from shared.codec import decode_payload
from shared.messages import BatchMetrics, DropNotice

Stream = tuple[str, int, str]


@dataclass
class FrameCount:
    """Frames of one stream of one start of a producer, by number."""

    offered: set[int] = field(default_factory=set)
    arrived: set[int] = field(default_factory=set)
    named: set[int] = field(default_factory=set)

    @property
    def dropped(self) -> set[int]:
        """Named in a drop notice, and not there all the same."""
        return self.offered & self.named - self.arrived

    @property
    def unexplained(self) -> set[int]:
        """Neither there nor named."""
        return self.offered - self.arrived - self.named


@dataclass
class Audit:
    """A run as its facts tell it.

    Attributes
    ----------
    steps : list of int
        Training steps of the rows that count, in order of release.
    frames : dict
        By producer, incarnation and stream.
    books : dict
        What the analyzer itself counted: offered, delivered, dropped, pending.
    missing_records : dict
        By producer and incarnation, numbers below the highest that are not committed.
    failures : dict
        What went wrong and was contained, by kind.
    status : str or None
        How the run ended.
    """

    steps: list[int]
    frames: dict[Stream, FrameCount]
    books: dict[Stream, tuple[int, int, int, int]]
    missing_records: dict[tuple[str, int], list[int]]
    failures: dict[str, int]
    status: str | None

    @property
    def frame_count(self) -> tuple[int, int, int]:
        """Offered, arrived and dropped frames of all streams."""
        each = self.frames.values()
        return (
            sum(len(count.offered) for count in each),
            sum(len(count.offered & count.arrived) for count in each),
            sum(len(count.dropped) for count in each),
        )

    def expect_once(self, batches: int) -> None:
        """Each of the training batches 1 to `batches` has exactly one row."""
        twice = [step for step, count in Counter(self.steps).items() if count > 1]
        assert twice == [], f"batches that came twice: {twice}"
        missing = sorted(set(range(1, batches + 1)) - set(self.steps))
        assert missing == [], f"batches that never came: {missing}"
        assert self.steps == list(range(1, batches + 1))

    def expect_no_gap(self) -> None:
        """Nothing is missing without a reason, and the analyzer's books say what its facts say."""
        assert {key: numbers for key, numbers in self.missing_records.items() if numbers} == {}
        for stream, count in self.frames.items():
            assert count.unexplained == set(), stream
            offered, delivered, dropped, pending = self.books[stream]
            assert offered == delivered + dropped + pending, stream
            recounted = len(count.offered), len(count.offered & count.arrived), len(count.dropped)
            assert (offered, delivered, dropped) == recounted, stream
            assert pending == 0, stream


def audit(folder: Path) -> Audit:
    """Read a run's folder."""
    with closing(_connect(folder)) as connection:
        origins = {
            number: (producer, incarnation)
            for number, producer, incarnation in connection.execute(
                "SELECT id, producer, incarnation FROM producers"
            )
        }
        frames: defaultdict[Stream, FrameCount] = defaultdict(FrameCount)
        numbers: defaultdict[tuple[str, int], list[int]] = defaultdict(list)
        for origin, cseq, payload in connection.execute(
            "SELECT origin, cseq, payload FROM records ORDER BY origin, cseq"
        ):
            numbers[origins[origin]].append(cseq)
            message = decode_payload(payload)
            if isinstance(message, BatchMetrics) and message.frame is not None:
                frames[*origins[origin], message.frame.stream].offered.add(message.frame.fseq)
            if isinstance(message, DropNotice):
                named = range(message.first_fseq, message.last_fseq + 1)
                frames[*origins[origin], message.stream].named.update(named)
        for origin, stream, fseq in connection.execute(
            "SELECT origin, stream, fseq FROM frames WHERE state != 'undecodable'"
        ):
            frames[*origins[origin], stream].arrived.add(fseq)
        return Audit(
            steps=_steps(connection),
            frames=dict(frames),
            books={
                (*origins[origin], stream): tuple(counts)
                for origin, stream, *counts in connection.execute(
                    "SELECT origin, stream, offered, delivered, dropped, pending FROM streams"
                )
            },
            missing_records={
                origin: sorted(set(range(1, max(found) + 1)) - set(found))
                for origin, found in numbers.items()
            },
            failures=dict(connection.execute("SELECT kind, count FROM failures")),
            status=_status(connection),
        )


def steps_so_far(folder: Path) -> list[int]:
    """Training steps of the rows that are released, in order; none before the run began."""
    try:
        with closing(_connect(folder)) as connection:
            return _steps(connection)
    except sqlite3.OperationalError:
        return []  # not there yet, or not made yet


def latest_committed(folder: Path) -> tuple[int, float]:
    """Training step of the latest batch whose scalars are committed, and when it was captured.

    The time is Unix time in seconds. Whether the batch's frame has come does not matter here;
    step and time are zero before the first.
    """
    query = "SELECT payload FROM records ORDER BY origin DESC, cseq DESC LIMIT 200"
    try:
        with closing(_connect(folder)) as connection:
            for (payload,) in connection.execute(query):
                message = decode_payload(payload)
                if isinstance(message, BatchMetrics):
                    return message.global_step, message.captured_at_ns / 1e9
    except sqlite3.OperationalError:
        pass  # not there yet, or not made yet
    return 0, 0.0


def _connect(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{folder / 'metrics.sqlite'}?mode=ro", uri=True, timeout=30)


def _steps(connection: sqlite3.Connection) -> list[int]:
    return [step for (step,) in _rows(connection)]


def _rows(connection: sqlite3.Connection) -> Iterator[tuple[int]]:
    return connection.execute(
        "SELECT global_step FROM batches WHERE phase = 'train' AND superseded = 0 AND rank >= 0 "
        "ORDER BY release"
    )


def _status(connection: sqlite3.Connection) -> str | None:
    found = connection.execute("SELECT value FROM state WHERE key = 'status'").fetchone()
    return None if found is None else str(found[0]).strip('"')
