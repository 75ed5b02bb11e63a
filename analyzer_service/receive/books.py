"""Last words about a run in the log: how it ended, its books, where its files are."""

import logging
from pathlib import Path

from analyzer_service.commit.reader import RecordBooks, RunReader, RunState
from analyzer_service.sinks.report_wording import ERRORS
from analyzer_service.sinks.wandb_outcome import WandbOutcome
from shared.books import frames_balance, frames_in_words, records_balance, records_in_words
from shared.messages import Totals

logger = logging.getLogger(__name__)


def log_end(folder: Path, outcome: WandbOutcome | None) -> None:
    """Log how the run in `folder` ended."""
    with RunReader(folder) as reader:
        name, state, books = reader.started().run_name, reader.state(), reader.books()
        drops, records = reader.drops_by_stream(), reader.record_books()
    why = f" ({state.reason})" if state.reason else ""
    logger.info("%s: %s%s, %d batches", name, state.status, why, state.released)
    for stream, totals in books.items():
        logger.info("%s: %s: %s", name, stream, frames_in_words(totals, drops.get(stream)))
    for each in records:
        logger.info("%s: %s records: %s", name, each.name, _in_words(each))
    for error in _errors(state, books, records):
        logger.error("%s: %s", name, error)
    if outcome is not None and outcome.mode != "disabled":
        logger.info("%s: %s", name, outcome)
    logger.info("%s: report in %s", name, folder / "final_summary_report.md")


def _in_words(records: RecordBooks) -> str:
    if records.totals is not None:
        return records_in_words(records.totals)
    return f"committed {records.committed:,}, missing {records.missing:,}"


def _errors(state: RunState, books: dict[str, Totals], records: list[RecordBooks]) -> list[str]:
    """What is missing and explained by nothing, a sentence each."""
    errors = [
        f"{kind.replace('_', ' ')}: {state.failures[kind].count:,}, the last: "
        f"{state.failures[kind].last}"
        for kind in ERRORS
        if kind in state.failures
    ]
    errors += [
        f"{each.name}: {each.lost:,} records were lost by the trainer"
        for each in records
        if each.lost
    ]
    known = [each.totals for each in records if each.totals is not None]
    if not (all(map(frames_balance, books.values())) and all(map(records_balance, known))):
        errors.append("the books do not balance: an error of Sidelight; please report it")
    return errors
