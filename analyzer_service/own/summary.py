"""Rows of a notebook in statistics, and as a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer_service.sinks.json_files import FINAL_NAME, PHASES
from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.plain import as_json, in_order, metrics_of, plain, plain_row, statistics
from analyzer_service.sinks.replacing import replacing
from shared.errors import SinkError

Rows = Sequence[Mapping[str, Any]]


def summary_of(rows: Rows, folder: Path) -> dict[str, Any]:
    """Statistics of `rows` by phase and name, and the latest row of each phase."""
    of_phase = {phase: [row for row in rows if row["phase"] == phase] for phase in PHASES}
    summary: dict[str, Any] = plain(
        {
            "batches": {phase: len(found) for phase, found in of_phase.items()},
            "summary": {phase: _statistics_of(found) for phase, found in of_phase.items()},
            "latest": {phase: plain_row(found[-1]) for phase, found in of_phase.items() if found},
        }
    )
    return {"run_folder": str(folder)} | summary


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


def _statistics_of(rows: Rows) -> dict[str, Any]:
    table = Table()
    for row in rows:
        table.add(metrics_of(row))
    columns = table.columns()
    return {name: statistics(columns[name].moments) for name in in_order(columns)}
