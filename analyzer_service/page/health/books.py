"""The books of a run for the browser: frames, records, failures, alerts, starts."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer_service.commit.reader import AlertRecord, RecordBooks, RunReader, RunState
from analyzer_service.sinks.report_wording import DROP_REASONS, ERRORS, FAILURES
from shared.books import frames_balance, records_balance
from shared.messages import RunStarted, Totals

MOST_ALERTS: Final = 200


def frame_books(reader: RunReader) -> list[dict[str, Any]]:
    """Frames of each stream of each producer: how many, what became of them, why not."""
    drops = reader.drops_by_stream()
    return [_frames(name, totals, drops.get(name, {})) for name, totals in reader.books().items()]


def _frames(name: str, totals: Totals, drops: Mapping[str, int]) -> dict[str, Any]:
    producer, _, stream = name.rpartition("/")
    return {
        "producer": producer,
        "stream": stream,
        "offered": totals.offered,
        "delivered": totals.delivered,
        "dropped": totals.dropped,
        "pending": totals.pending,
        "balances": frames_balance(totals),
        "drops": [
            {"reason": reason, "words": DROP_REASONS.get(reason, reason), "frames": frames}
            for reason, frames in drops.items()
        ],
    }


def record_books(reader: RunReader) -> list[dict[str, Any]]:
    """Records of each start of each producer; what it has not said yet is None."""
    return [_records(each) for each in reader.record_books()]


def _records(books: RecordBooks) -> dict[str, Any]:
    totals = books.totals
    return {
        "name": books.name,
        "handed_over": books.handed_over,
        "committed": books.committed,
        "lost": books.lost,
        "missing": books.missing,
        "balances": None if totals is None else records_balance(totals),
    }


def failures(state: RunState) -> list[dict[str, Any]]:
    """What went wrong and was contained; those that must never be come first."""
    kinds = sorted(state.failures, key=lambda kind: (kind not in ERRORS, kind))
    return [
        {
            "kind": kind,
            "words": FAILURES.get(kind, kind.replace("_", " ")),
            "error": kind in ERRORS,
            "count": state.failures[kind].count,
            "last": state.failures[kind].last,
        }
        for kind in kinds
    ]


def alerts(reader: RunReader, released: int) -> dict[str, Any]:
    """Alerts that go on, all of them, and the latest that have cleared; newest first."""
    found = reader.alerts(upto=released)[::-1]
    active = [alert for alert in found if alert.active(released)]
    cleared = [alert for alert in found if not alert.active(released)]
    return {
        "active": [_alert(alert, released) for alert in active[:MOST_ALERTS]],
        "cleared": [_alert(alert, released) for alert in cleared[:MOST_ALERTS]],
        "fired": len(found),
    }


def _alert(alert: AlertRecord, released: int) -> dict[str, Any]:
    last_step, last_at = alert.until(released)
    return {
        "name": alert.name,
        "title": alert.title,
        "sentence": alert.sentence,
        "layer": alert.layer,
        "rank": alert.rank,
        "phase": alert.phase,
        "since_step": alert.since_step,
        "since_at": alert.since_at,
        "last_step": last_step,
        "last_at": last_at,
        "cleared_at": alert.cleared_at,
        "peak": alert.peak,
    }


def incarnation(start: RunStarted) -> dict[str, Any]:
    """A start of the run."""
    return {
        "incarnation": start.incarnation,
        "started_at": start.started_at_ns / 1e9,
        "resumed_from_step": start.resumed_from_step,
        "device": start.device,
        "world_size": start.world_size,
    }
