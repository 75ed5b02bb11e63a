"""The analyzer's last words about a run."""

from pathlib import Path

import pytest

from analyzer_service.receive.books import log_end
from shared.messages import RecordTotals
from tests.analyzer_service.sinks.runs import RunWriter, write_run
from tests.builders import make_run_ended


def ended(folder: Path, **fields: object) -> RunWriter:
    run = write_run(folder, epochs=1)
    run.batch(11, epoch=1, framed=False)
    run.cseq = 0
    run.say(run.started)
    run.say(make_run_ended(**fields))
    run.end()
    return run


def said(caplog: pytest.LogCaptureFixture, level: str) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.levelname == level]


def test_the_books_are_said_in_the_words_of_the_trainer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    ended(tmp_path, records=RecordTotals(offered=1, committed=1)).close()
    log_end(tmp_path, None)
    assert said(caplog, "INFO")[1:4] == [
        "demo: rank0/train: offered 11 = delivered 10 + dropped 1 (1 queue_full) + pending 0",
        "demo: rank0/val: offered 2 = delivered 2 + dropped 0 + pending 0",
        "demo: rank0 records: handed over 2 = committed 2 + lost 0 + pending 0",
    ]
    assert said(caplog, "ERROR") == []


def test_what_nothing_explains_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = ended(tmp_path, records=RecordTotals(offered=5, committed=1, lost=3))
    run.books["train"].offered += 1
    run.batch(12, epoch=1)
    with run.store.transaction():
        run.store.count_failure("unexplained_frames", "rank0: train frame 7", count=1)
    run.close()
    log_end(tmp_path, None)
    assert said(caplog, "ERROR") == [
        "demo: unexplained frames: 1, the last: rank0: train frame 7",
        "demo: rank0: 3 records were lost by the trainer",
        "demo: the books do not balance: an error of Sidelight; please report it",
    ]
