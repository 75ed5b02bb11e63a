"""The run's numbers as JSON: one file per epoch, and one with every batch at the end.

Strict JSON (null where a number is undefined), in a fixed order of keys, made of the run's
messages only: the same run gives the same bytes, live or replayed.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.alert_list import alert_counts, listed_alerts
from analyzer_service.sinks.evolution import Evolution
from analyzer_service.sinks.metadata import run_facts, started_by
from analyzer_service.sinks.moments import Table
from analyzer_service.sinks.phase_table import phase_table
from analyzer_service.sinks.plain import (
    as_json,
    in_order,
    metrics_of,
    plain_row,
    statistics,
    tile_statistics,
    utc,
)
from analyzer_service.sinks.replacing import replacing

FINAL_NAME = "final_training_metrics.json"
PHASES = ("train", "val")


def epoch_name(epoch: int) -> str:
    """File name of an epoch's metrics.

    Examples
    --------
    >>> epoch_name(5)
    'epoch_5_metrics.json'
    """
    return f"epoch_{epoch}_metrics.json"


def write_epoch(folder: Path, epoch: int, release: int) -> Path:
    """Write ``epoch_{N}_metrics.json``: statistics over the epoch's batches and tiles.

    Parameters
    ----------
    folder : Path
        The run's folder.
    epoch : int
        Epoch as trained, from 0.
    release : int
        Rows after this position are left out.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    with RunReader(folder) as reader:
        content = {
            "epoch": epoch,
            "summary": _over_batches(reader, epoch, release),
            "samples": _over_tiles(reader, epoch, release),
            "metadata": _epoch_metadata(reader, epoch, release),
        }
    path = folder / epoch_name(epoch)
    with replacing(path) as file:
        file.write(as_json(content, indent=1) + "\n")
    return path


def write_final(folder: Path, release: int) -> Path:
    """Write ``final_training_metrics.json``: every batch, statistics, alerts, the run's facts.

    Rows are streamed, so memory does not grow with the run. ``batch_metrics`` is a list of
    flat rows that ``pandas.DataFrame`` takes; ``evolution`` holds the means of each epoch, and
    ``alerts`` what `alert_list.listed_alerts` lists; ``metadata`` counts all of them. Where
    several ranks trained, all of these are of the run's own rows, which are means over the ranks;
    ``rank_metrics`` lists those of each rank.

    Raises
    ------
    SinkError
        If the file cannot be written.
    """
    path = folder / FINAL_NAME
    evolution = Evolution()
    with RunReader(folder) as reader, replacing(path) as file:
        file.write('{"batch_metrics": [')
        separator = "\n"
        for row in reader.rows(upto=release):
            file.write(separator + as_json(plain_row(row.values)))
            separator = ",\n"
            evolution.add(row.values["phase"], row.values["epoch"], metrics_of(row.values))
        tables = {phase: phase_table(reader, phase, release) for phase in PHASES}
        summary = {phase: _statistics_of(table) for phase, table in tables.items()}
        if reader.most_ranks() > 1:
            _write_ranks(file, reader, release)
        file.write(f'\n],\n"summary": {as_json(summary)}')
        file.write(f',\n"evolution": {as_json(evolution.means())}')
        file.write(f',\n"alerts": {as_json(list(listed_alerts(reader, release)))}')
        metadata = _final_metadata(reader, {name: table.rows for name, table in tables.items()})
        metadata["alerts"] = alert_counts(reader, release)
        file.write(f',\n"metadata": {as_json(metadata)}}}\n')
    return path


def _write_ranks(file: TextIO, reader: RunReader, release: int) -> None:
    """End the list of the run's rows, and begin that of its ranks'."""
    file.write('\n],\n"rank_metrics": [')
    separator = "\n"
    for row in reader.rows(upto=release, of="ranks"):
        file.write(separator + as_json(plain_row(row.values)))
        separator = ",\n"


def _statistics_of(table: Table) -> dict[str, Any]:
    columns = table.columns()
    return {name: statistics(columns[name].moments) for name in in_order(columns)}


def _over_batches(reader: RunReader, epoch: int, release: int) -> dict[str, Any]:
    tables = {phase: Table() for phase in PHASES}
    for row in reader.rows(epoch=epoch, upto=release):
        tables[row.values["phase"]].add(metrics_of(row.values))
    return {phase: _statistics_of(table) for phase, table in tables.items()}


def _over_tiles(reader: RunReader, epoch: int, release: int) -> dict[str, Any]:
    tables = {phase: Table(quantiles=True) for phase in PHASES}
    for sample in reader.sample_values(epoch=epoch, upto=release):
        tables[sample.phase].add(sample.values)
    return {
        phase: {name: tile_statistics(columns[name]) for name in in_order(columns)}
        for phase, columns in ((phase, table.columns()) for phase, table in tables.items())
    }


def _epoch_metadata(reader: RunReader, epoch: int, release: int) -> dict[str, Any]:
    ends = [end for end in reader.epochs() if end.epoch == epoch and end.release <= release]
    ended_at_ns = ends[-1].ended_at_ns if ends else None
    facts = run_facts(started_by(reader.incarnations(), ended_at_ns))
    return facts | {
        "epoch_ended_at": utc(ended_at_ns),
        "global_step": ends[-1].global_step if ends else None,
    }


def _final_metadata(reader: RunReader, batches: dict[str, int]) -> dict[str, Any]:
    state = reader.state()
    own = [asdict(source) for source in reader.own_analyzers()]
    facts = run_facts(reader.incarnations()) | ({"own_analyzers": own} if own else {})
    return facts | {
        "status": state.status,
        "reason": state.reason,
        "ended_at": utc(state.ended_at_ns),
        "batches": batches,
    }
