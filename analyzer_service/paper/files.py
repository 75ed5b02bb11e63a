"""Writing the figures: which there are for a run, as PDF and PNG, atomically."""

from pathlib import Path
from typing import Final

from matplotlib.figure import Figure

from analyzer_service.alerts.good_ranges import good_ranges
from analyzer_service.commit.reader import RunReader
from analyzer_service.html.run_charts import read_histories
from analyzer_service.paper import attention, reconstruction
from analyzer_service.paper.attention import attention_figure, has_metrics
from analyzer_service.paper.captions import (
    attention_caption,
    reconstruction_caption,
    training_caption,
)
from analyzer_service.paper.reconstruction import reconstruction_figure
from analyzer_service.paper.style import DPI, journal_style
from analyzer_service.paper.tiles import kept_tiles, spread
from analyzer_service.paper.training import has_training, training_figure
from analyzer_service.sinks.replacing import replacing, replacing_path
from analyzer_service.sinks.report_tissue_tests import tissue_tests
from shared.errors import SinkError

FOLDER: Final = "paper_figures"
_FORMS: Final = {
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "png": {"Software": None},
}
"""Formats, and what else would differ from one time or version to the next."""


def write_figures(folder: Path, release: int) -> list[Path]:
    """Write ``paper_figures/``: reconstruction quality, training progress, attention analysis.

    Parameters
    ----------
    folder : Path
        The run's folder.
    release : int
        Rows after this position are left out.

    Returns
    -------
    list of Path
        The files, ``captions.md`` last. A figure for which the run has nothing (no frame is
        kept, no attention layer watched) is left out.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    target = folder / FOLDER
    try:
        target.mkdir(exist_ok=True)
    except OSError as error:
        raise SinkError(f"cannot make {target}: {error.strerror or error}") from error
    with RunReader(folder) as reader, journal_style():
        drawn = _figures(reader, release)
        paths = [path for name, each in drawn.items() for path in _write(target, name, each[0])]
    captions = target / "captions.md"
    with replacing(captions) as file:
        file.write("\n\n".join(f"`{name}`\n{words}" for name, (_, words) in drawn.items()) + "\n")
    return [*paths, captions]


def _figures(reader: RunReader, release: int) -> dict[str, tuple[Figure, str]]:
    """Figures by name, each with its caption."""
    started = reader.started()
    ranges = good_ranges(reader.alert_settings().ranges)
    histories = read_histories(reader, release)
    kept = kept_tiles(reader, release)
    figures: dict[str, tuple[Figure, str]] = {}
    if kept:
        tiles = spread(kept, reconstruction.COUNT)
        figures["reconstruction_quality"] = (
            reconstruction_figure(tiles, started.mpp),
            reconstruction_caption(tiles, len(kept)),
        )
    if has_training(histories):
        words = training_caption(histories)
        figures["training_progress"] = training_figure(histories, ranges), words
    if not histories.layers:
        return figures
    outcomes = tissue_tests(*reader.probe_tiles(), histories.layers).outcomes
    tests = [test for test in outcomes if test.kind == "correlation"]
    tiles = spread(kept, attention.COUNT)
    metrics = has_metrics(histories, ranges)
    if tiles or tests or metrics:
        figures["attention_analysis"] = (
            attention_figure(tiles, histories, ranges, tests),
            attention_caption(tiles, histories, tests, metrics=metrics),
        )
    return figures


def _write(target: Path, name: str, figure: Figure) -> list[Path]:
    paths = []
    for form, metadata in _FORMS.items():
        path = target / f"{name}.{form}"
        with replacing_path(path) as temporary:
            figure.savefig(temporary, format=form, dpi=DPI, metadata=metadata)
        paths.append(path)
    return paths
