"""The books of critical records: what the store holds, and what the producer said at its end."""

import sqlite3

from analyzer_service.commit.views import RecordBooks
from shared.codec import decode_payload
from shared.errors import ContractError
from shared.messages import RunEnded


def read_record_books(connection: sqlite3.Connection) -> list[RecordBooks]:
    """Books of each start of each producer, in order."""
    query = (
        "SELECT id, producer, incarnation, committed_cseq FROM producers "
        "ORDER BY producer, incarnation"
    )
    return [_books(connection, *found) for found in connection.execute(query).fetchall()]


def _books(
    connection: sqlite3.Connection, origin: int, producer: str, incarnation: int, dense: int
) -> RecordBooks:
    # Counted beyond the part without gaps only: a long run has millions.
    query = "SELECT count(*), max(cseq) FROM records WHERE origin = ? AND cseq > ?"
    beyond, highest = connection.execute(query, (origin, dense)).fetchone()
    committed = dense + beyond
    last = highest or dense
    ended = _end(connection, origin, last)
    said = ended.records if ended is not None else None
    return RecordBooks(
        producer=producer,
        incarnation=incarnation,
        committed=committed,
        missing=last - committed,
        handed_over=None if said is None else said.offered + 1,  # and the end itself
        lost=None if said is None else said.lost,
    )


def _end(connection: sqlite3.Connection, origin: int, cseq: int) -> RunEnded | None:
    query = "SELECT payload FROM records WHERE origin = ? AND cseq = ?"
    found = connection.execute(query, (origin, cseq)).fetchone()
    try:
        message = None if found is None else decode_payload(found[0])
    except ContractError:
        return None
    return message if isinstance(message, RunEnded) else None
