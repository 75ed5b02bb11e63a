"""Commands about runs that are there, ``verify``, ``validate``, ``export``, ``report``,
``compare`` and ``summary``, and ``check``, about a class of one's own.
"""

from pathlib import Path
from typing import Annotated

import typer

from shared.flags import Config

_WIDTH_OF_A_FILE = 120
Run = Annotated[Path, typer.Argument(help="A run's folder; it may still be going.")]


def verify(
    path: Annotated[Path, typer.Argument(help="A run's folder, or a recording (.mcap).")],
) -> None:
    """Check that a run or a recording is whole; changes nothing.

    Exit code 0: sound. 1: something is missing or damaged, a line each. 2: it cannot be read.
    """
    from analyzer_service.verify.recording import verify_recording
    from analyzer_service.verify.run_folder import verify_folder

    findings = verify_folder(path) if path.is_dir() else verify_recording(path)
    for line in findings.lines():
        typer.echo(line)
    if not findings.sound:
        raise typer.Exit(1)


def validate(
    run: Annotated[Path, typer.Argument(help="A run's folder; it may still be going.")],
    annotations: Annotated[
        Path,
        typer.Option(help="Folder of annotations: QuPath's GeoJSON, or W3C Web Annotation."),
    ],
    reader: Annotated[
        list[str] | None,
        typer.Option(help="Subfolder of one reader; give it again for each further one."),
    ] = None,
    label: Annotated[
        list[str] | None,
        typer.Option("--class", help="Class to compare; again for more.  [default: all]"),
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Pixels by which two readers' outlines may differ and be one.")
    ] = 2.0,
    config: Config = None,  # noqa: ARG001 - has been read before the others
) -> None:
    """Compare a run's attention with what pathologists marked. Evidence, never a verdict."""
    from analyzer_service.clinical import generate_clinical_validation_report
    from analyzer_service.clinical.console import lines_of

    report = generate_clinical_validation_report(
        run, annotations, readers=reader or (), classes=label or (), tolerance_px=tolerance
    )
    for line in lines_of(report):
        typer.echo(line)


def export(
    run: Run,
    to: Annotated[str, typer.Option(help="csv, parquet or json.")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file.  [default: batch_, rank_ or tile_metrics in the run's folder]"
        ),
    ] = None,
    tiles: Annotated[
        bool, typer.Option("--tiles", help="A row for each analyzed tile, instead of each batch.")
    ] = False,
    ranks: Annotated[
        bool,
        typer.Option("--ranks", help="The rows of each rank, in place of their means."),
    ] = False,
    config: Config = None,  # noqa: ARG001 - has been read before the others
) -> None:
    """Write a run's rows for other programs; the run is only read."""
    from analyzer_service.export import Exported, export_run
    from shared.errors import ConfigurationError

    if tiles and ranks:
        raise ConfigurationError("--tiles and --ranks contradict each other: give one of them")
    what: Exported = "tile" if tiles else "rank" if ranks else "batch"
    path, rows = export_run(run, to, out=out, what=what)
    typer.echo(f"{path}: {rows:,} rows")


def report(
    run: Run,
    figures: Annotated[
        bool, typer.Option("--figures", help="Draw paper_figures/, as PDF and PNG, too.")
    ] = False,
    config: Config = None,  # noqa: ARG001 - has been read before the others
) -> None:
    """Write a run's report as it stands; the run is only read."""
    from analyzer_service.commit.reader import RunReader
    from analyzer_service.sinks.report import PAGE_NAME, write_report

    def released() -> int:
        with RunReader(run) as reader:
            return reader.state().released

    if figures:
        from analyzer_service.paper import write_figures

        for path in write_figures(run, released()):
            typer.echo(path)
    # Asked again: a run that goes on may have ended while the figures were drawn.
    typer.echo(write_report(run, released()))
    typer.echo(run / PAGE_NAME)


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of runs; the first is the base.")],
    html: Annotated[Path | None, typer.Option(help="Write it as a page, too.")] = None,
    md: Annotated[Path | None, typer.Option(help="Write it as Markdown, too.")] = None,
    config: Config = None,  # noqa: ARG001 - has been read before the others
) -> None:
    """Put runs side by side: what differs, then their last epochs.

    First the settings that differ, then the results of the last epoch of each.
    """
    from rich.console import Console

    from analyzer_service.compare import compare_runs
    from analyzer_service.compare.printing import as_markdown, as_page, show
    from analyzer_service.sinks.replacing import replacing

    comparison = compare_runs(runs)
    for path, form in ((html, as_page), (md, as_markdown)):  # before a pager may close the pipe
        if path is not None:
            with replacing(path) as file:
                file.write(form(comparison))
    console = Console()
    if not console.is_terminal:  # of a file or a pipe rich takes 80 columns
        console.width = max(console.width, _WIDTH_OF_A_FILE)
    show(comparison, console)
    for path in (html, md):
        if path is not None:
            typer.echo(path)


def summary(run: Run) -> None:
    """Print the statistics of a run, and its latest rows, as JSON."""
    from analyzer_service.own.summary import summary_of_run
    from analyzer_service.sinks.plain import as_json

    typer.echo(as_json(summary_of_run(run), indent=1))


def check(
    analyzer: Annotated[str, typer.Argument(help="MODULE:CLASS.", metavar="MODULE:CLASS")],
) -> None:
    """Check that a class of your own can be given as --analyzer."""
    from analyzer_service.own.checking import check_analyzer

    source = check_analyzer(analyzer)
    assert source is not None
    typer.echo(f"{source.name}: fine, SHA-256 of its file {source.sha256}")
