"""What a run's end says in anyone's script: the books, and loudly what is missing."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.messages import Books, RecordTotals, Totals
from trainer.capture.closing import close_run
from trainer.publish import PublishOutcome

WHOLE = Books(
    frames={"train": Totals(offered=8, delivered=8), "val": Totals()},
    records=RecordTotals(offered=11, committed=11),
)


class Scripted:
    """A publisher that closes with a given outcome."""

    def __init__(self, books: Books, **fields: Any) -> None:
        defaults: dict[str, Any] = {
            "complete": True,
            "without_values": 0,
            "journal": None,
            "refusal": None,
            "run_folder": "runs/auto_analysis_a",
            "longest_handoff_us": 1.0,
        }
        self._outcome = PublishOutcome(books=books, **(defaults | fields))

        self.interrupt = False

    def close(self, status: str = "finished", **options: Any) -> PublishOutcome:
        if self.interrupt:
            self.interrupt = False
            raise KeyboardInterrupt
        return self._outcome


class Stoppable:
    """An analyzer that is still at work."""

    def __init__(self) -> None:
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Lets `caplog` hear Lightning's logger, which may not hand on to the root."""
    lightning = logging.getLogger("pytorch_lightning.sidelight")
    level = lightning.level
    lightning.addHandler(caplog.handler)
    lightning.setLevel(logging.INFO)
    yield
    lightning.removeHandler(caplog.handler)
    lightning.setLevel(level)


def close(caplog: pytest.LogCaptureFixture, books: Books, **fields: Any) -> list[tuple[str, str]]:
    close_run(Scripted(books, **fields), None, "finished", reason=None, timeout_s=1.0)
    return list(dict.fromkeys((r.levelname, r.getMessage().strip()) for r in caplog.records))


@pytest.mark.usefixtures("heard")
def test_a_whole_delivery_says_its_books_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert close(caplog, WHOLE) == [
        ("INFO", "Sidelight's results: runs/auto_analysis_a"),
        ("INFO", "Frames train: offered 8 = delivered 8 + dropped 0 + pending 0"),
        ("INFO", "Records: handed over 11 = committed 11 + lost 0 + pending 0"),
    ]


@pytest.mark.usefixtures("heard")
def test_what_is_missing_is_said_loudly_with_its_reasons(caplog: pytest.LogCaptureFixture) -> None:
    books = Books(
        frames={"train": Totals(offered=8, delivered=4, dropped=3, pending=1)},
        drops={"train": {"closed": 1, "queue_full": 2}},
        records=RecordTotals(offered=11, committed=8, lost=1, pending=2),
    )
    journal = Path("a.journal.mcap")
    lines = close(caplog, books, complete=False, journal=journal, without_values=1)
    frames = "offered 8 = delivered 4 + dropped 3 (2 queue_full, 1 closed) + pending 1"
    records = "handed over 11 = committed 8 + lost 1 + pending 2"
    assert ("INFO", f"Frames train: {frames}") in lines
    assert ("WARNING", f"not every frame arrived: train: {frames}") in lines
    assert ("ERROR", f"1 scalar records and events are LOST: {records}") in lines
    assert ("ERROR", "1 batches are recorded without their values") in lines
    [(level, replay)] = [line for line in lines if "replay" in line[1]]
    assert level == "WARNING"
    assert replay.endswith(f"analyzer_service replay {journal} --output-dir runs")
    assert not any("do not balance" in text for _, text in lines)


@pytest.mark.parametrize(
    "books",
    [
        Books(frames={"val": Totals(offered=8, delivered=7)}),
        Books(records=RecordTotals(offered=3, committed=1, pending=1)),
    ],
    ids=["frames", "records"],
)
def test_books_that_do_not_balance_are_called_an_error(
    caplog: pytest.LogCaptureFixture, books: Books
) -> None:
    lines = close(caplog, books)
    assert (
        "ERROR",
        "the books do not balance: this is an error of Sidelight; please report it",
    ) in (lines)


@pytest.mark.usefixtures("heard")
def test_whoever_interrupts_the_end_is_told_what_became_of_the_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    publisher = Scripted(WHOLE, complete=False, journal=Path("a.journal.mcap"))
    publisher.interrupt = True
    analyzer = Stoppable()
    with pytest.raises(KeyboardInterrupt):
        close_run(publisher, analyzer, "finished", reason=None, timeout_s=1.0)  # type: ignore[arg-type]
    assert analyzer.stopped
    assert "analyzer_service replay a.journal.mcap" in caplog.text
    assert "Records: handed over 11" in caplog.text
