"""Checks a run's folder against its own facts: records, frames, drop notices, files."""

import sqlite3
from contextlib import closing
from pathlib import Path

from analyzer_service.commit.database import open_unchanged
from analyzer_service.pipeline.folder import is_held
from analyzer_service.sinks.report_wording import ERRORS
from analyzer_service.verify.files import check_files
from analyzer_service.verify.findings import Findings
from analyzer_service.verify.producers import ProducerFacts, check_producer, read_producers
from analyzer_service.verify.rows import check_rows


def verify_folder(folder: Path) -> Findings:
    """Check everything, in one view of the database, also while an analyzer writes to it.

    Raises
    ------
    ConfigurationError
        If the folder holds no run, or its database cannot be opened.
    """
    findings = Findings()
    with closing(open_unchanged(folder)) as connection:
        try:
            connection.execute("BEGIN")
            _check(connection, folder, findings)
        except sqlite3.DatabaseError as error:
            findings.faults.append(f"metrics.sqlite is damaged: {error}")
    return findings


def _check(connection: sqlite3.Connection, folder: Path, findings: Findings) -> None:
    problems = [text for (text,) in connection.execute("PRAGMA quick_check(20)")]
    findings.faults += [f"metrics.sqlite: {text}" for text in problems if text != "ok"]
    status = _status(connection)
    producers = read_producers(connection, findings)
    _describe(connection, producers, status, findings)
    for facts in producers:
        check_producer(connection, facts, findings)
    check_rows(connection, producers, findings)
    at_rest = status is not None and not is_held(folder)
    check_files(connection, folder, at_rest=at_rest, findings=findings)


def _status(connection: sqlite3.Connection) -> str | None:
    found = connection.execute("SELECT value FROM state WHERE key = 'status'").fetchone()
    return None if found is None else str(found[0])


def _describe(
    connection: sqlite3.Connection,
    producers: list[ProducerFacts],
    status: str | None,
    findings: Findings,
) -> None:
    query = "SELECT count(*) FROM batches WHERE superseded = 0 AND ordinal IS NOT NULL"
    (rows,) = connection.execute(query).fetchone()
    names = {facts.started.run_name for facts in producers}
    findings.facts.append(f"{', '.join(sorted(names))}: {status or 'running'}, {rows:,} batches")
    for kind, count, last in connection.execute("SELECT kind, count, last FROM failures"):
        lines = findings.faults if kind in ERRORS else findings.facts
        lines.append(f"{kind.replace('_', ' ')}: {count:,}, the last: {last}")
