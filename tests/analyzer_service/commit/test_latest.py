"""Where each phase stands; expected values by SQL over all rows, and by hand."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from analyzer_service.commit.latest import LatestRow, read_latest
from tests.analyzer_service.sinks.runs import RunWriter, write_run


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunWriter]:
    run = RunWriter(tmp_path / "auto_analysis_demo")
    yield run
    run.close()


def latest(run: RunWriter, phase: str = "train") -> LatestRow:
    found = read_latest(run.store.connection, phase)
    assert found is not None
    return found


def test_a_phase_without_rows_stands_nowhere(run: RunWriter) -> None:
    run.batch(1)
    assert read_latest(run.store.connection, "val") is None


def test_the_last_row_of_each_phase_is_found(tmp_path: Path) -> None:
    run = write_run(tmp_path / "auto_analysis_demo", epochs=2, batches=5, val_batches=3)
    for phase, rows in (("train", 10), ("val", 6)):
        query = (
            "SELECT epoch, global_step, timestamp, loss, ssim FROM batches WHERE phase = ? "
            "AND release = (SELECT max(release) FROM batches WHERE phase = ?)"
        )
        expected = run.store.connection.execute(query, (phase, phase)).fetchone()
        found = latest(run, phase)
        assert found.rows == rows
        assert (
            found.epoch,
            found.global_step,
            found.timestamp,
            found.loss,
            found.ssim,
        ) == expected
    run.close()


def test_a_loss_that_is_no_number_is_no_older_one(run: RunWriter) -> None:
    run.batch(1, loss=0.5)
    run.batch(2, loss=math.nan)
    assert math.isnan(latest(run).loss)
    run.batch(3, loss=math.inf)
    assert latest(run).loss == math.inf


def test_the_ssim_is_that_of_the_last_frame_that_was_analyzed(run: RunWriter) -> None:
    run.batch(1, part={"ssim": 0.25})
    run.batch(2, part={"ssim": 0.75})
    for number in range(3, 66):
        run.batch(number, framed=False)
    assert latest(run).ssim == 0.75  # 63 rows before the last one
    run.batch(66, framed=False)
    run.batch(67, framed=False)
    assert math.isnan(latest(run).ssim)
    run.batch(68, part={"ssim": math.nan})
    assert math.isnan(latest(run).ssim)


def test_rows_that_a_resume_took_back_do_not_count(run: RunWriter) -> None:
    for number in range(1, 6):
        run.batch(number)
    run.start(incarnation=2, resumed_from_step=3)
    assert (latest(run).rows, latest(run).global_step) == (3, 3)
    run.batch(4, loss=0.125)
    assert (latest(run).rows, latest(run).loss) == (4, 0.125)
