"""Commands about runs that are there: ``export``, ``report``, ``compare``."""

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


def report(
    run: Run,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw paper_figures/, as PDF and PNG, too.")
    ] = False,
) -> None:
    """Write the report of a run as it stands; the run itself is only read."""
    from analyzer_service.commit.reader import RunReader
    from analyzer_service.sinks.report import PAGE_NAME, write_report

    with RunReader(run) as reader:
        release = reader.state().released
    if figures:
        from analyzer_service.paper import write_figures

        for path in write_figures(run, release):
            typer.echo(path)
    typer.echo(write_report(run, release))
    typer.echo(run / PAGE_NAME)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the first is the base.")],
    html: Annotated[Path | None, typer.Option(help="Write it as a page, too.")] = None,
    md: Annotated[Path | None, typer.Option(help="Write it as Markdown, too.")] = None,
) -> None:
    """Put runs side by side: settings that differ, then the last epoch's results."""
    from rich.console import Console

    from analyzer_service.compare import compare_runs
    from analyzer_service.compare.printing import as_markdown, as_page, show
    from analyzer_service.sinks.replacing import replacing

    comparison = compare_runs(runs)
    show(comparison, Console())
    for path, form in ((html, as_page), (md, as_markdown)):
        if path is not None:
            with replacing(path) as file:
                file.write(form(comparison))
            typer.echo(path)


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    for command in (export, report, compare):
        app.command()(command)
