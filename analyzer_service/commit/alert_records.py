"""Reads the episodes of a run's alerts."""

import math
import sqlite3
from dataclasses import fields, replace
from typing import Final

from pydantic import ValidationError

from analyzer_service.alerts.settings import DEFAULT, AlertSettings
from analyzer_service.commit.views import AlertRecord

_END: Final = 2**62


def read_alerts(
    connection: sqlite3.Connection,
    upto: int | None = None,
    after_moment: int = -1,
    most: int | None = None,
) -> list[AlertRecord]:
    """Episodes that fired up to row `upto` and beyond `after_moment`, the first `most` of them."""
    if not _has_alerts(connection):
        return []
    names = ", ".join(each.name for each in fields(AlertRecord))
    query = (
        f"SELECT {names} FROM alerts WHERE moment > ? AND release <= ? ORDER BY moment, id LIMIT ?"
    )
    limits = _END if upto is None else upto, -1 if most is None else most
    found = connection.execute(query, (after_moment, *limits))
    records = [AlertRecord(*values) for values in found]
    return [each if each.peak is not None else replace(each, peak=math.nan) for each in records]


def count_alerts(connection: sqlite3.Connection, upto: int, *, active: bool) -> dict[str, int]:
    """How many episodes fired up to row `upto`, by name; if `active`, of those that go on there."""
    if not _has_alerts(connection):
        return {}
    query = "SELECT name, count(*) FROM alerts WHERE release <= ?"
    query += " AND (cleared_release IS NULL OR cleared_release > ?)" if active else ""
    given = (upto, upto) if active else (upto,)
    return dict(connection.execute(f"{query} GROUP BY name ORDER BY name", given).fetchall())


def count_active(connection: sqlite3.Connection) -> dict[str, int]:
    """How many episodes go on, by the alert's name."""
    query = "SELECT name, count(*) FROM alerts WHERE cleared_release IS NULL GROUP BY name"
    return dict(connection.execute(query).fetchall())


def read_alert_settings(connection: sqlite3.Connection) -> AlertSettings:
    """What a run's alerts go by; the defaults where it was never said, or by another version."""
    query = "SELECT value FROM state WHERE key = 'alert_settings'"
    found = connection.execute(query).fetchone()
    try:
        return DEFAULT if found is None else AlertSettings.model_validate_json(found[0])
    except ValidationError:
        return DEFAULT


def _has_alerts(connection: sqlite3.Connection) -> bool:
    query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alerts'"
    return connection.execute(query).fetchone() is not None
