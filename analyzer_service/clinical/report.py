"""`clinical_validation_report.md` and `.json`: what attention and readers agree on, as evidence."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from analyzer_service.clinical.content import STATEMENT, content, layers
from analyzer_service.clinical.matching import CONSENSUS
from analyzer_service.clinical.scoring import FEWEST_FOR_CONSENSUS, band_px
from analyzer_service.clinical.summarizing import Summary
from analyzer_service.clinical.tables import (
    agreement_table,
    by_layer,
    fault_table,
    interval,
    own_or_others_table,
    questions,
    score_table,
    slide_table,
)
from analyzer_service.clinical.validating import Validation
from analyzer_service.sinks.markdown import quoted
from analyzer_service.sinks.plain import as_json
from analyzer_service.sinks.replacing import replacing
from analyzer_service.sinks.report_wording import plural

MARKDOWN_NAME: Final = "clinical_validation_report.md"
JSON_NAME: Final = "clinical_validation_report.json"
_READING: Final = """\
- **AUC** and **enrichment** need no threshold: read them first. AUC is the chance that an
  annotated pixel has more attention than another one; enrichment is how many times more attention
  falls on the annotation than its share of the tile.
- **Area-matched** takes the most attended area, as large as the annotated one. **Half-maximum**
  takes what lies above the middle of the map's range, and so depends on its single highest cell.
- The **ceiling** is the Dice of the annotation drawn with the gate's cells. A Dice near it is as
  good as the layer's resolution allows, however small it is.
- Readers differ among themselves: their Dice is the other measure for the Dice of attention.
- Each number is computed in each tile, then averaged; intervals draw slides with their tiles."""


@dataclass(frozen=True)
class ClinicalValidationReport:
    """The report that was written.

    Attributes
    ----------
    markdown, json : Path
        Its two files.
    content : dict
        What the JSON file says; undefined numbers are None.
    validation : Validation
        All of it, as it was computed.
    """

    markdown: Path
    json: Path
    content: dict[str, Any]
    validation: Validation


def write_report(folder: Path, validation: Validation) -> ClinicalValidationReport:
    """Write both files into a run's folder; a reader of it sees old ones or new ones, whole.

    Raises
    ------
    SinkError
        If they cannot be written.
    """
    values = content(validation)
    report = ClinicalValidationReport(
        folder / MARKDOWN_NAME, folder / JSON_NAME, values, validation
    )
    with replacing(report.json) as file:
        file.write(as_json(values, indent=1) + "\n")
    with replacing(report.markdown) as file:
        file.write(markdown(validation))
    return report


def markdown(validation: Validation) -> str:
    """The report as Markdown."""
    parts = [
        f"# Clinical validation of {quoted(validation.started.run_name)}",
        STATEMENT,
        "## What was compared",
        _compared(validation),
        *_by_question(validation),
        *_readers(validation),
        *_left_out(validation),
        "## How to read this",
        _READING,
    ]
    return "\n\n".join(parts) + "\n"


def _compared(validation: Validation) -> str:
    slides = {tile.sample.slide for tile in validation.tiles} - {None}
    epochs = sorted({tile.epoch for tile in validation.tiles})
    named = plural(len(slides), "slide") if slides else "slides that are not named"
    lines = [
        f"- {plural(len(validation.tiles), 'annotated tile')} of {named}, out of "
        f"{plural(validation.kept, 'validation tile')} whose maps the run kept"
        + (f"; attention as of epoch {', '.join(map(str, epochs))}." if epochs else "."),
    ]
    for reader, by_tile in validation.readings.by_reader.items():
        classes = ", ".join(map(quoted, validation.readings.labels[reader])) or "nothing marked"
        lines.append(f"- Reader {quoted(reader)}: {plural(len(by_tile), 'tile')}; {classes}.")
    for layer, facts in layers(validation.tiles).items():
        grid = " × ".join(map(str, facts["grid"]))
        lines.append(
            f"- Layer {quoted(layer)}: {grid} cells, each {facts['cell_px']:g} pixels a side. What "
            "is smaller than a cell it cannot tell; see the ceiling."
        )
    return "\n".join(lines)


def _by_question(validation: Validation) -> list[str]:
    parts = []
    for reader, label in questions(validation.attention, validation.without_annotation):
        parts.append(f"## Attention against {quoted(label)}, {_who(reader)}")
        marked = by_layer(validation.attention, reader, label)
        if marked:
            parts += [_how_many(next(iter(marked.values()))), score_table(marked)]
            parts += _readers_ceiling(validation, label)
        if (own := own_or_others_table(validation, reader, label)) is not None:
            parts += [_OWN_OR_OTHERS, own]
        if (slides := slide_table(validation, reader, label)) is not None:
            parts += ["By slide, means over its tiles:", slides]
        if empty := by_layer(validation.without_annotation, reader, label):
            parts += [_without(next(iter(empty.values()))), score_table(empty, empty=True)]
    return parts or [_NOTHING if validation.readings.files else _NOTHING_YET]


def _readers_ceiling(validation: Validation, label: str) -> list[str]:
    """What the Dice of attention is to be held against: that of the readers."""
    pairs = [
        f"{' and '.join(map(quoted, between))} {interval(summary.means['dice'])}"
        for (of, between), summary in validation.agreement.items()
        if of == label and between
    ]
    said = "No Dice of attention says more than the readers' own"
    return [f"{said}: {'; '.join(pairs)}."] if pairs else []


_NOTHING: Final = "No annotated tile could be compared; see below for what was left out."
_NOTHING_YET: Final = (
    "No annotation is there yet. `create_pathologist_annotation_interface(run)` prepares tiles and "
    "a task list; ask for this report again once some are done."
)
_OWN_OR_OTHERS: Final = (
    "A layer that looks at the same places whatever the tile shows does as well on the annotations "
    "of other tiles. So only the difference speaks of the tile at hand (mismatched-tile "
    "permutation):"
)


def _who(reader: str) -> str:
    return "the readers' consensus" if reader == CONSENSUS else f"reader {quoted(reader)}"


def _how_many(summary: Summary) -> str:
    over = (
        f"Intervals are over {plural(summary.slides, 'slide')}."
        if summary.by_slide
        else "Intervals are over tiles, which are not independent of each other: they hold for "
        "this tissue and say nothing of other slides."
    )
    return f"{plural(summary.tiles, 'tile')} with the class. {over}"


def _without(summary: Summary) -> str:
    return (
        f"Apart from these: {plural(summary.tiles, 'tile')} in which the reader marked none. There "
        "is nothing to find, so whatever attention marks is wrong, and no overlap is possible:"
    )


def _readers(validation: Validation) -> list[str]:
    two = agreement_table(validation, of_pairs=True)
    every = agreement_table(validation, of_pairs=False)
    if two is None or every is None:
        return []
    by_consensus = (
        "The consensus is STAPLE's, weighing each reader by how well they agree with it."
        if len(validation.readings.by_reader) >= FEWEST_FOR_CONSENSUS
        else f"A consensus takes {FEWEST_FOR_CONSENSUS} readers: two who differ have no majority."
    )
    words = "What attention can reach against one reader is bounded by what readers reach."
    return ["## Between readers", f"{words} {by_consensus}", _outlines(validation), two, every]


def _outlines(validation: Validation) -> str:
    tolerance, mpp = validation.tolerance_px, validation.started.mpp
    size = f"{tolerance:g} pixels" + (f" ({tolerance * mpp:.2g} µm)" if mpp else "")
    return (
        f"NSD is the share of both outlines that lies within {size} of the other one; boundary "
        f"IoU compares bands of {plural(band_px(tolerance), 'pixel')} along them. Where a tile "
        "cuts an area there is no outline."
    )


def _left_out(validation: Validation) -> list[str]:
    found = fault_table(validation)
    files = f"{plural(validation.readings.files, 'file')} looked at."
    return ["## Annotations that were repaired or left out", found or f"None. {files}"]
