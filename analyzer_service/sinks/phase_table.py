"""Statistics of all metrics of a phase, as ``summary`` and the final JSON file give them."""

from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.totals import Totals
from analyzer_service.sinks.moments import Moments, Table
from analyzer_service.sinks.plain import KEYS


def phase_table(reader: RunReader, phase: str, upto: int) -> Table:
    """Statistics of the metrics of the run's rows of `phase` up to release `upto`."""
    moments = Moments.by_name(Totals.of(reader.stretches(phase, upto=upto)))
    rows = reader.count(phase, upto=upto)
    return Table.of({name: each for name, each in moments.items() if name not in KEYS}, rows=rows)
