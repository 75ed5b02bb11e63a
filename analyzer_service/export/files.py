"""Exporting a run: which file, which format, read-only beside whoever writes the run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, get_args

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.tile_rows import RowsOf
from analyzer_service.export.parquet import check_parquet, write_parquet
from analyzer_service.export.tables import Table, batch_table, tile_table
from analyzer_service.export.text import write_csv, write_json
from analyzer_service.sinks.replacing import replacing_path
from shared.errors import ConfigurationError

Writer = Callable[[Table, Path], int]
FORMATS: Final[dict[str, Writer]] = {
    "csv": write_csv,
    "parquet": write_parquet,
    "json": write_json,
}

Exported = Literal["batch", "rank", "tile"]

_OF: Final[dict[Exported, RowsOf]] = {"batch": "run", "rank": "ranks"}
_EXPORTED: Final = tuple(f"{what}_metrics." for what in get_args(Exported))


def export_run(
    folder: Path, to: str, *, out: Path | None = None, what: Exported = "batch"
) -> tuple[Path, int]:
    """Write the released rows of a run, those of its ranks, or its tiles, for other programs.

    Rows are streamed: memory does not grow with the run. Of a run that is still going, the rows
    that are released at the start are written. Nothing of the run is changed.

    Parameters
    ----------
    folder : Path
        The run's folder.
    to : str
        One of `FORMATS`.
    out : Path, optional
        The file; ``{what}_metrics.{to}`` in `folder` if it is None.
    what : {"batch", "rank", "tile"}
        What there is a row of: each batch of the run, each batch of each of its ranks (of one rank
        the same), each analyzed tile.

    Returns
    -------
    tuple of Path and int
        The file, and how many rows it has.

    Raises
    ------
    ConfigurationError
        If `folder` holds no run, the format is unknown, its package is not installed, or the file
        is one of the run's own.
    SinkError
        If the file cannot be written.
    """
    if to not in FORMATS:
        raise ConfigurationError(f"--to {to}: choose one of {', '.join(FORMATS)}")
    if to == "parquet":
        check_parquet()
    path = out or folder / f"{what}_metrics.{to}"
    _check_not_the_runs(path, folder)
    with RunReader(folder) as reader, replacing_path(path) as temporary:
        table = tile_table(reader) if what == "tile" else batch_table(reader, of=_OF[what])
        rows = FORMATS[to](table, temporary)
    return path, rows


def _check_not_the_runs(path: Path, folder: Path) -> None:
    """Refuse to write over what the run itself has written: it is only read."""
    inside = path.resolve().is_relative_to(folder.resolve())
    if inside and os.path.exists(path) and not path.name.startswith(_EXPORTED):
        raise ConfigurationError(f"--out {path}: that is the run's own; choose another name")
