"""Commands about runs that are there: ``export``."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(help="A run's folder; it may still be going.")]


def export(
    run: Run,
    to: Annotated[str, typer.Option(help="csv, parquet or json.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file.  [default: batch_metrics or tile_metrics in the run's folder]"
        ),
    ] = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="A row each analyzed tile, not each batch.")
    ] = False,
) -> None:
    """Write a run's rows for other programs; the run is only read."""
    from analyzer_service.export import export_run

    path, rows = export_run(run, to, out=out, tiles=tiles)
    typer.echo(f"{path}: {rows:,} rows")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(export)
