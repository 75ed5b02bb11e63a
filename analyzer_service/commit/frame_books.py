"""The books of the frames, read from the store."""

import sqlite3

from shared.messages import Totals


def read_books(connection: sqlite3.Connection) -> dict[str, Totals]:
    """Frames by "producer/stream", every start of a producer together."""
    query = (
        "SELECT p.producer || '/' || s.stream, sum(s.offered), sum(s.delivered), "
        "sum(s.dropped), sum(s.pending) FROM streams s JOIN producers p ON p.id = s.origin "
        "GROUP BY p.producer, s.stream HAVING sum(s.offered + s.delivered + s.dropped + "
        "s.pending) > 0 ORDER BY p.producer, s.stream"
    )
    return {
        name: Totals(offered=offered, delivered=delivered, dropped=dropped, pending=pending)
        for name, offered, delivered, dropped, pending in connection.execute(query)
    }


def read_drops(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """Dropped frames by "producer/stream" and reason."""
    query = (
        "SELECT p.producer || '/' || d.stream, d.reason, sum(d.frames) FROM drop_counts d "
        "JOIN producers p ON p.id = d.origin GROUP BY p.producer, d.stream, d.reason "
        "HAVING sum(d.frames) > 0 ORDER BY p.producer, d.stream, d.reason"
    )
    found: dict[str, dict[str, int]] = {}
    for name, reason, frames in connection.execute(query):
        found.setdefault(name, {})[reason] = frames
    return found
