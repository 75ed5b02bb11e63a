"""What `validate` says at the terminal."""

from collections import Counter
from collections.abc import Iterator

from analyzer_service.annotations import FAULTS
from analyzer_service.clinical.report import ClinicalValidationReport
from analyzer_service.clinical.tables import short_table
from analyzer_service.sinks.markdown import one_line
from analyzer_service.sinks.report_wording import plural


def lines_of(report: ClinicalValidationReport) -> Iterator[str]:
    """A short table, what was left out or repaired, and where the whole of it is."""
    validation = report.validation
    tiles = plural(len(validation.tiles), "annotated tile")
    yield f"{validation.started.run_name}: {tiles} of {validation.kept:,} that the run kept"
    if validation.attention:
        yield short_table(validation)
    counts = Counter(fault.kind for fault in validation.faults)
    for kind in (kind for kind in FAULTS if counts[kind]):
        first = next(fault for fault in validation.faults if fault.kind == kind)
        yield f"{counts[kind]:,} {FAULTS[kind]} (first: {one_line(first.where)})"
    yield f"{report.markdown} and {report.json.name} have all of it, as evidence to judge"
