"""The report's own analyses: whose numbers they are, what they say, what went wrong with them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from analyzer_service.commit.own_results import FAILED, OFF
from analyzer_service.commit.reader import RunReader
from analyzer_service.figures.wording import number
from analyzer_service.own.numbers import PREFIX
from analyzer_service.sinks.markdown import quoted, table
from analyzer_service.sinks.report_batches import RunBatches
from analyzer_service.sinks.report_wording import change, mean_sd

_NAN: Final = float("nan")
_HEADER: Final = ("Number", "Phase", "Mean ± SD", "First → last epoch", "Lowest", "Highest", "n")


@dataclass(frozen=True)
class OwnSection:
    """Whose analyses they are, the table of their numbers if there are any, what went wrong."""

    sources: list[str]
    numbers: str | None
    failures: list[str]


def own_section(reader: RunReader, batches: RunBatches) -> OwnSection | None:
    """What own analyses found over the batches of each phase; None where none were asked for."""
    sources = reader.own_analyzers()
    if not sources:
        return None
    lines = list(_lines(batches))
    return OwnSection(
        [f"{quoted(each.name)} (SHA-256 of its file: `{each.sha256[:16]}…`)" for each in sources],
        table(_HEADER, lines, words=(0, 1)) if lines else None,
        list(_failures(reader)),
    )


def _lines(batches: RunBatches) -> Iterator[list[str]]:
    for phase, of_phase in batches.phases.items():
        columns = of_phase.metrics.columns()
        epochs = [means for means in batches.epochs if means["phase"] == phase]
        for name in sorted(name for name in columns if name.startswith(PREFIX)):
            found = columns[name].moments
            shown = [number(found.low), number(found.high), f"{found.n:,}"]
            yield [f"`{name}`", phase, mean_sd(found), _change(epochs, name), *shown]


def _change(epochs: list[dict[str, Any]], name: str) -> str:
    first, last = (epochs[at].get(name, _NAN) for at in (0, -1))
    return change(first, last)


def _failures(reader: RunReader) -> Iterator[str]:
    failures = reader.state().failures
    if FAILED in failures:
        found = failures[FAILED]
        yield f"{found.count:,} failed; the last one: {quoted(found.last)}."
    if OFF in failures:
        yield f"**{quoted(failures[OFF].last)}.** Later rows have no own numbers."
