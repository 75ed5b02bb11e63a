"""The final report: what the run did, in numbers with their n, as text and as a page."""

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from analyzer_service.alerts.good_ranges import good_ranges
from analyzer_service.commit.reader import RunReader, RunState
from analyzer_service.figures.ranges import GUIDE
from analyzer_service.html.run_charts import read_histories
from analyzer_service.sinks.markdown import table
from analyzer_service.sinks.plain import utc
from analyzer_service.sinks.replacing import replacing
from analyzer_service.sinks.report_alerts import alert_section
from analyzer_service.sinks.report_attention import (
    activation_table,
    agreement,
    explained,
    layer_sections,
)
from analyzer_service.sinks.report_batches import read_batches
from analyzer_service.sinks.report_cards import cards
from analyzer_service.sinks.report_delivery import delivery
from analyzer_service.sinks.report_evidence import evidence, judged_ranges
from analyzer_service.sinks.report_files import inventory
from analyzer_service.sinks.report_own import own_section
from analyzer_service.sinks.report_page import PageFacts, report_page
from analyzer_service.sinks.report_pathology import pathology_section
from analyzer_service.sinks.report_retention import let_go_sentences
from analyzer_service.sinks.report_tiles import Tiles, read_tiles
from analyzer_service.sinks.report_training import (
    epoch_table,
    opening,
    performance_table,
    training_table,
    training_words,
)
from analyzer_service.sinks.report_wording import plural

REPORT_NAME = "final_summary_report.md"
PAGE_NAME = "final_summary_report.html"


def write_report(folder: Path, release: int) -> Path:
    """Write ``final_summary_report.md``, and with plots ``final_summary_report.html``.

    Their first lines say how the run ended; then alerts, training, attention, performance, the
    books of frames, evidence and every file. What is undefined is shown as such.

    Parameters
    ----------
    folder : Path
        The run's folder.
    release : int
        Rows after this position are left out.

    Raises
    ------
    SinkError
        If a file cannot be written.
    """
    path = folder / REPORT_NAME
    with RunReader(folder) as reader:
        content = _content(reader, folder, release)
        text = _render(content)
        page = report_page(text, content["page"])
    for name, written in ((REPORT_NAME, text), (PAGE_NAME, page)):
        with replacing(folder / name) as file:
            file.write(written)
    return path


def _render(content: dict[str, Any]) -> str:
    # Markdown, not HTML: text from outside is quoted where it comes in.
    environment = Environment(
        loader=PackageLoader("analyzer_service.sinks"),
        autoescape=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template(f"{REPORT_NAME}.j2").render(content)


def _content(reader: RunReader, folder: Path, release: int) -> dict[str, Any]:
    started, state = reader.started(), reader.state()
    ranges = good_ranges(reader.alert_settings().ranges)
    gates = [layer.name for layer in started.layers if layer.kind == "attention"]
    batches = read_batches(reader, release, gates)
    epochs = {phase: batches.epoch_numbers(phase) for phase in batches.phases}
    tiles = read_tiles(reader, release, epochs=epochs, ranges=judged_ranges(started, ranges))
    phase = "val" if tiles["val"].whole.rows else "train"
    sections = layer_sections(started.layers, batches, tiles, phase=phase, ranges=ranges)
    pathology = pathology_section(reader, batches, tiles)
    return {
        "name": started.run_name,
        "page": PageFacts(
            name=started.run_name,
            histories=read_histories(reader, release),
            ranges=ranges,
            outcomes=pathology.outcomes,
            cards=cards(reader, started, batches, tiles, release=release),
        ),
        "opening": opening(started, state, batches),
        "facts": _facts(reader, state),
        "training": training_table(batches),
        "training_words": training_words(batches),
        "epochs": epoch_table(batches),
        "phase": {"train": "training", "val": "validation"}[phase],
        "layers": sections,
        "whose_ranges": "The ranges are the guide's"
        if ranges == GUIDE
        else "The ranges are those that the analyzer was given",
        "analyzed": any(part.whole.rows for part in tiles.values()),
        "agreement": agreement(tiles),
        "explained": explained(sections),
        "activations": activation_table(started.layers, tiles),
        "pathology": pathology,
        "own": own_section(reader, batches),
        "performance": performance_table(batches),
        "alerts": alert_section(reader, release),
        "delivery": delivery(reader),
        "evidence": table(
            ["Evidence", "Value", "n", "Reference"],
            evidence(reader, batches, tiles, phase=phase, ranges=ranges),
            words=(0, 3),
        ),
        "tiles": _tile_words(tiles[phase]),
        "let_go": let_go_sentences(reader.let_go(), folder),
        "files": table(
            ["File", "Size", "What it is"], inventory(folder, REPORT_NAME, PAGE_NAME), words=(0, 2)
        ),
    }


def _facts(reader: RunReader, state: RunState) -> str:
    starts = reader.incarnations()
    latest = starts[-1]
    resumed = [str(s.resumed_from_step) for s in starts if s.resumed_from_step is not None]
    rows = {
        "Device": latest.device,
        "Started": _time(starts[0].started_at_ns),
        "Ended": _time(state.ended_at_ns),
        "Resumed from step": ", ".join(resumed) or None,
        "Tile size": f"{latest.tile_size} px" if latest.tile_size else None,
        "Pixel size": f"{latest.mpp:g} µm" if latest.mpp else None,
        "Stain": latest.stain,
        "Processes": str(latest.world_size),
    }
    return table(["Run", ""], [[name, text or "–"] for name, text in rows.items()], words=(0, 1))


def _time(at_ns: int | None) -> str | None:
    text = utc(at_ns)
    return text and f"{text[:10]} {text[11:19]} UTC"


def _tile_words(tiles: Tiles) -> str:
    slides = plural(len(tiles.slides), "slide") if tiles.slides else "slides that are not named"
    return (
        f"{plural(tiles.at_last.rows, 'tile')} analyzed, {len(tiles.ids):,} distinct, "
        f"{plural(len(tiles.sources), 'source')}, {slides}"
    )
