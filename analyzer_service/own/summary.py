"""Rows in statistics: those of a notebook, and those of a run as it stands."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer_service.analyses.pathology_names import CORRELATION, OVERLAPS
from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.json_files import FINAL_NAME, PHASES
from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.phase_table import phase_table
from analyzer_service.sinks.plain import (
    as_json,
    in_order,
    metrics_of,
    plain,
    plain_row,
    statistics,
)
from analyzer_service.sinks.replacing import replacing
from shared.errors import SinkError

Rows = Sequence[Mapping[str, Any]]


def summary_of(rows: Iterable[Mapping[str, Any]], folder: Path) -> dict[str, Any]:
    """Statistics of `rows` by phase and name, and the latest row of each phase; None for null."""
    tables = {phase: Table() for phase in PHASES}
    latest: dict[str, Mapping[str, Any]] = {}
    for row in rows:
        latest[row["phase"]] = row
        tables[row["phase"]].add(metrics_of(row))
    return _summary(tables, latest, folder)


def _summary(
    tables: Mapping[str, Table], latest: Mapping[str, Mapping[str, Any]], folder: Path
) -> dict[str, Any]:
    summary: dict[str, Any] = plain(
        {
            "batches": {phase: table.rows for phase, table in tables.items()},
            "summary": {phase: _statistics_of(table) for phase, table in tables.items()},
            "latest": {phase: plain_row(row) for phase, row in latest.items()},
            "correlations": {phase: correlations_of(row) for phase, row in latest.items()},
        }
    )
    return {"run_folder": str(folder)} | summary


def summary_of_run(folder: Path) -> dict[str, Any]:
    """`summary_of` a run's rows as they are released, with its name and how it stands.

    Raises
    ------
    ConfigurationError
        If `folder` holds no run.
    """
    with RunReader(folder) as reader:
        state = reader.state()
        upto = state.released
        rows = {phase: reader.last(phase, upto=upto) for phase in PHASES}
        # The phase whose last row came first is named first, as one by one they would be.
        known = sorted((row for row in rows.values() if row), key=lambda row: row.release)
        latest = {row.values["phase"]: row.values for row in known}
        summary = _summary(
            {phase: phase_table(reader, phase, upto) for phase in PHASES}, latest, folder
        )
        return summary | {"run_name": reader.started().run_name, "status": state.status}


def correlations_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row that compare attention with the tissue, of every layer."""
    starts = (*OVERLAPS, CORRELATION, "spatial_consistency")
    return {name: value for name, value in row.items() if name.startswith(starts)}


def write_metrics(rows: Rows, folder: Path, path: Path | None = None) -> Path:
    """Write `rows` and their statistics to `path`, by default into `folder`.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    path = folder / FINAL_NAME if path is None else path
    make_folder(path.parent)
    summary = summary_of(rows, folder)
    content = {
        "batch_metrics": [plain_row(row) for row in rows],
        "summary": summary["summary"],
        "metadata": {"batches": summary["batches"]},
    }
    with replacing(path) as file:
        file.write(as_json(content) + "\n")
    return path


def make_folder(folder: Path) -> None:
    """Make `folder` if it is not there; raises `SinkError` if it cannot be made."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make {folder}: {error.strerror or error}") from error


def _statistics_of(table: Table) -> dict[str, Any]:
    columns = table.columns()
    return {name: statistics(columns[name].moments) for name in in_order(columns)}
