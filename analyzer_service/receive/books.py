"""Last words about a run in the log: how it ended, its books, where its files are."""

import logging
from pathlib import Path

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.wandb_outcome import WandbOutcome

logger = logging.getLogger(__name__)


def log_end(folder: Path, outcome: WandbOutcome | None) -> None:
    """Log how the run in `folder` ended."""
    with RunReader(folder) as reader:
        name, state, books = reader.started().run_name, reader.state(), reader.books()
    why = f" ({state.reason})" if state.reason else ""
    logger.info("%s: %s%s, %d batches", name, state.status, why, state.released)
    for stream, totals in books.items():
        logger.info(
            "%s: %s: offered %d = delivered %d + dropped %d + pending %d",
            name,
            stream,
            totals.offered,
            totals.delivered,
            totals.dropped,
            totals.pending,
        )
    if outcome is not None and outcome.mode != "disabled":
        logger.info("%s: %s", name, outcome)
    logger.info("%s: report in %s", name, folder / "final_summary_report.md")
