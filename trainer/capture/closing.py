"""Ends a run: lets the analyzer catch up, with progress, and says what became of it."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from rich.console import Console
from rich.status import Status

from shared.books import (
    books_in_words,
    frames_balance,
    frames_in_words,
    records_balance,
    records_in_words,
)
from shared.messages import RunStatus
from trainer.commands import command

if TYPE_CHECKING:
    from trainer.publish.local import LocalAnalyzer
    from trainer.publish.outcome import PublishOutcome
    from trainer.publish.progress import Progress

log = logging.getLogger(__name__)
_lightning_log = logging.getLogger("pytorch_lightning.sidelight")

INTERRUPTED_DRAIN_S: Final = 10.0
TERMINATED_DRAIN_S: Final = 3.0
_LEAST_WAIT_S: Final = 0.5


class Closable(Protocol):
    """What is needed of `trainer.publish.Publisher`."""

    def close(
        self,
        status: RunStatus = "finished",
        *,
        reason: str | None = None,
        timeout_s: float | None = None,
        on_progress: "Callable[[Progress], None] | None" = None,
    ) -> "PublishOutcome":
        """End the run."""
        ...


def ending_of(exception: BaseException) -> tuple[RunStatus, float]:
    """Status of a run that `exception` ended, and how long its end may take at most.

    Lightning's ``SIGTERMException`` is known by its name, as it is no public class.
    """
    if type(exception).__name__ == "SIGTERMException":
        return "interrupted", TERMINATED_DRAIN_S
    status: RunStatus = "interrupted" if isinstance(exception, KeyboardInterrupt) else "failed"
    return status, INTERRUPTED_DRAIN_S


def close_run(
    publisher: Closable,
    analyzer: "LocalAnalyzer | None",
    status: RunStatus,
    *,
    reason: str | None,
    timeout_s: float,
) -> "PublishOutcome":
    """Close the publisher, then wait for the analyzer's last files.

    Both waits together take at most `timeout_s`, and what stopping takes. Whoever interrupts them
    (Ctrl-C) leaves at once, and is told all the same what became of the run.
    """
    began_s = time.monotonic()
    try:
        with _shown("The analyzer catches up") as show:
            outcome = publisher.close(
                status,
                reason=reason,
                timeout_s=timeout_s,
                on_progress=lambda progress: show(_describe(progress)),
            )
            if analyzer is not None:
                show("The analyzer writes its report")
                _end(analyzer, max(timeout_s - (time.monotonic() - began_s), _LEAST_WAIT_S))
    except BaseException:
        if analyzer is not None:
            analyzer.stop()
        _report(publisher.close())
        raise
    _report(outcome)
    return outcome


def reason_of(exception: BaseException) -> str:
    """Why a run ends, in words: the exception's type, and what it says if it can."""
    name = type(exception).__name__
    try:
        return f"{name}: {exception}"
    except Exception:
        return name


@contextmanager
def _shown(words: str) -> Iterator[Callable[[str], None]]:
    """Show what goes on, and give a function that shows further words.

    A terminal that is gone (the session that started the training, say) takes none, and must
    not keep the run from its end.
    """
    status: Status | None = None

    def show(words: str) -> None:
        with suppress(Exception):
            if status is not None:
                status.update(words)

    with suppress(Exception):
        status = Console(stderr=True).status(words)
        status.start()
    try:
        yield show
    finally:
        with suppress(Exception):
            if status is not None:
                status.stop()


def _end(analyzer: "LocalAnalyzer", timeout_s: float) -> None:
    code = analyzer.wait(timeout_s)
    if code is None:
        log.warning("the analyzer was not done in time and was stopped; see %s", analyzer.log_file)
        analyzer.stop()
    elif code != 0:
        log.warning("the analyzer ended with exit code %d; see %s", code, analyzer.log_file)


def _describe(progress: "Progress") -> str:
    frames = sum(total.pending for total in progress.totals.values())
    return f"The analyzer catches up: {frames} frames, {progress.records_unacked} records to go"


def _report(outcome: "PublishOutcome") -> None:
    if outcome.refusal is not None:
        log.error("the analyzer refused this run: %s", outcome.refusal)
    if outcome.run_folder is not None:
        # By Lightning's logger: shown in anyone's script; the command says it in its own way.
        _lightning_log.info("Sidelight's results: %s", outcome.run_folder)
    for what, words in books_in_words(outcome.books):
        _lightning_log.info("  %s: %s", what, words)
    _say_what_is_wrong(outcome)
    if outcome.complete:
        return
    if outcome.journal is not None:
        folder = outcome.run_folder
        beside = () if folder is None else ("--output-dir", Path(folder).parent)
        log.warning(
            "not everything reached the analyzer; this reads the rest: %s",
            command("analyzer_service", "replay", outcome.journal, *beside),
        )


def _say_what_is_wrong(outcome: "PublishOutcome") -> None:
    """What did not arrive, loudly; books that do not balance are an error of ours."""
    frames, records = outcome.books.frames, outcome.books.records
    for stream, total in frames.items():
        if total.delivered < total.offered:
            words = frames_in_words(total, outcome.books.drops.get(stream))
            log.warning("not every frame arrived: %s: %s", stream, words)
    if records.lost:
        log.error(
            "%d scalar records and events are LOST: %s", records.lost, records_in_words(records)
        )
    if outcome.without_values:
        log.error("%d batches are recorded without their values", outcome.without_values)
    if not (records_balance(records) and all(map(frames_balance, frames.values()))):
        log.error("the books do not balance: this is an error of Sidelight; please report it")
