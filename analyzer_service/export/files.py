"""Exporting a run: which file, which format, read-only beside whoever writes the run."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from analyzer_service.commit.reader import RunReader
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

_EXPORTED: Final = ("batch_metrics.", "tile_metrics.")


def export_run(
    folder: Path, to: str, *, out: Path | None = None, tiles: bool = False
) -> tuple[Path, int]:
    """Write the released rows of a run, or its tiles, for other programs.

    Rows are streamed: memory does not grow with the run. Of a run that is still going, the rows
    that are released at the start are written. Nothing of the run is changed.

    Parameters
    ----------
    folder : Path
        The run's folder.
    to : str
        One of `FORMATS`.
    out : Path, optional
        The file; ``batch_metrics.{to}`` or ``tile_metrics.{to}`` in `folder` if it is None.
    tiles : bool
        Whether to write a row each analyzed tile in place of a row each batch.

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
    path = out or folder / f"{'tile' if tiles else 'batch'}_metrics.{to}"
    _check_not_the_runs(path, folder)
    with RunReader(folder) as reader, replacing_path(path) as temporary:
        table = (tile_table if tiles else batch_table)(reader)
        rows = FORMATS[to](table, temporary)
    return path, rows


def _check_not_the_runs(path: Path, folder: Path) -> None:
    """Refuse to write over what the run itself has written: it is only read."""
    inside = path.resolve().is_relative_to(folder.resolve())
    if inside and os.path.exists(path) and not path.name.startswith(_EXPORTED):
        raise ConfigurationError(f"--out {path}: that is the run's own; choose another name")
