"""What is exported: rows in a fixed order of typed columns, read a page at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from analyzer_service.commit.reader import RunReader, SampleRow
from analyzer_service.commit.tile_rows import RowsOf
from analyzer_service.sinks.plain import in_order
from shared.errors import SinkError

Kind = Literal["text", "whole", "real"]

_KINDS: Final[dict[str, Kind]] = {
    "phase": "text",
    "epoch": "whole",
    "batch_idx": "whole",
    "global_step": "whole",
    "phase_step": "whole",
    "rank": "whole",
    "ranks": "whole",
    "batch_size": "whole",
    "samples": "whole",
}
_TILE: Final[dict[str, Kind]] = {
    "phase": "text",
    "epoch": "whole",
    "global_step": "whole",
    "phase_step": "whole",
    "rank": "whole",
    "tile": "text",
    "source": "text",
    "slide": "text",
    "row": "whole",
    "col": "whole",
    "mpp": "real",
}


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name and what its values are, where they are not undefined."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """Columns, and rows that are read as they are taken; None is undefined."""

    columns: tuple[Column, ...]
    rows: Iterator[list[Any]]


def batch_table(reader: RunReader, of: RowsOf = "run") -> Table:
    """A row each batch of the run or of its ranks, as ``final_training_metrics.json`` has them."""
    upto = reader.state().released
    found = reader.names("batches", upto=upto) if of == "run" else reader.rank_names(upto=upto)
    names = in_order(dict.fromkeys(("phase", *found)))
    columns = tuple(Column(name, _KINDS.get(name, "real")) for name in names)
    rows = (row.values for row in reader.rows(upto=upto, of=of))
    return Table(columns, _in_columns(names, rows))


def tile_table(reader: RunReader) -> Table:
    """A row each analyzed tile: its batch, where it comes from, its metrics."""
    upto = reader.state().released
    metrics = sorted(set(reader.names("tiles", upto=upto)) - set(_TILE))
    columns = (*(Column(*known) for known in _TILE.items()), *(Column(n, "real") for n in metrics))
    names = [column.name for column in columns]
    return Table(columns, _in_columns(names, map(_tile, reader.sample_values(upto=upto))))


def _tile(found: SampleRow) -> dict[str, Any]:
    sample = found.sample
    # A metric never takes the place of what says which tile it is.
    return found.values | {
        "phase": found.phase,
        "epoch": found.epoch,
        "global_step": found.global_step,
        "phase_step": found.phase_step,
        "rank": found.rank,
        "tile": sample.id,
        "source": sample.source,
        "slide": sample.slide,
        "row": sample.row,
        "col": sample.col,
        "mpp": sample.mpp,
    }


def _in_columns(names: list[str], rows: Iterator[dict[str, Any]]) -> Iterator[list[Any]]:
    known = frozenset(names)
    for row in rows:
        if not row.keys() <= known:
            raise SinkError("the run was released anew meanwhile: export it again")
        values = map(row.get, names)
        # NaN alone differs from itself.
        yield [None if value != value else value for value in values]
