"""What a pipeline counts, for those that watch it from outside."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analyzer_service.commit.alert_records import count_active
from analyzer_service.commit.producers import Origin, ProducerState
from analyzer_service.commit.views import StreamCounts
from analyzer_service.pipeline.ledger import Ledger
from shared.messages import RunStatus, Totals


@dataclass(frozen=True, slots=True)
class OriginCounts:
    """One start of one producer: its records up to `committed` are, and so are these frames."""

    committed: int
    streams: Mapping[str, StreamCounts]


@dataclass(frozen=True, slots=True)
class PipelineCounts:
    """A run as of its latest commit.

    `failures` are by kind, `alerts` that go on by name; `frames_bytes` is the size of the kept
    frames.
    """

    status: RunStatus | None
    released: int
    origins: Mapping[Origin, OriginCounts]
    failures: Mapping[str, int]
    alerts: Mapping[str, int]
    frames_bytes: int


def count(ledger: Ledger) -> PipelineCounts:
    """Everything that `ledger` has committed.

    Raises
    ------
    StoreError, sqlite3.Error
        If the database cannot be read.
    """
    connection = ledger.store.connection
    status: Any = ledger.store.get("status")
    return PipelineCounts(
        status=status,
        released=ledger.released,
        origins={origin: _origin(state) for origin, state in ledger.producers.items()},
        failures=dict(connection.execute("SELECT kind, count FROM failures").fetchall()),
        alerts=count_active(connection),
        frames_bytes=ledger.frames_bytes,
    )


def _origin(state: ProducerState) -> OriginCounts:
    counted = {
        name: StreamCounts(books.totals(), dict(books.reasons))
        for name, books in state.books.items()
    }
    # Books are made when a stream is first asked for, of which there may be nothing to say.
    streams = {name: counts for name, counts in counted.items() if counts.totals != Totals()}
    return OriginCounts(state.committed_cseq, streams)
