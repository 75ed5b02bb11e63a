"""Alerts of a run as plain values: which fired, from when to when."""

from collections.abc import Iterator
from typing import Any, Final

from analyzer_service.commit.reader import RunReader

MOST_LISTED: Final = 1000
"""Alerts beyond the first so many are counted only, so that the list stays small."""


def listed_alerts(reader: RunReader, release: int) -> Iterator[dict[str, Any]]:
    """The first `MOST_LISTED` alerts up to row `release`, in the order in which they fired.

    ``first_…`` is where what an alert says began, ``last_…`` where it cleared, or of one that is
    ``active`` the last row that was bad; ``…_at`` is on the clock of the rows' ``timestamp``.
    """
    for alert in reader.alerts(upto=release, most=MOST_LISTED):
        last_step, last_at = alert.until(release)
        yield {
            "name": alert.name,
            "layer": alert.layer,
            "rank": alert.rank,
            "phase": alert.phase,
            "first_step": alert.since_step,
            "fired_step": alert.step,
            "last_step": last_step,
            "first_at": alert.since_at,
            "last_at": last_at,
            "duration_s": last_at - alert.since_at,
            "active": alert.active(release),
            "worst": alert.peak,
            "sentence": alert.sentence,
        }


def alert_counts(reader: RunReader, release: int) -> dict[str, Any]:
    """How many alerts fired up to row `release`, of each name, and how many go on."""
    fired = reader.count_alerts(upto=release)
    return {
        "fired": sum(fired.values()),
        "active": sum(reader.count_alerts(upto=release, active=True).values()),
        "listed": min(sum(fired.values()), MOST_LISTED),
        "by_name": fired,
    }
