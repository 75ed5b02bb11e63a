"""Analyses that hang or kill their process, over real worker processes."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.workers import PoolWorkers
from tests.analyzer_service.pipeline.driving import SETTINGS, make_said, rows_of, run_whole
from tests.analyzer_service.pipeline.stubs import CALLS

STUBS = "tests.analyzer_service.pipeline.stubs"


@pytest.fixture
def pool() -> Iterator[PoolWorkers]:
    made = PoolWorkers(2)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("analyze", "limit_s", "said"),
    [("analyze_hanging", 2.0, "TimeoutError"), ("analyze_dying", 30.0, "signal 9")],
)
def test_an_analysis_that_cannot_be_had_is_a_counted_gap(
    tmp_path: Path, pool: PoolWorkers, analyze: str, limit_s: float, said: str
) -> None:
    calls = replace(CALLS, analyze=f"{STUBS}:{analyze}")
    settings = replace(SETTINGS, calls=calls, frame_timeout_s=limit_s)
    folder = run_whole(tmp_path, pool, make_said(epochs=1), settings=settings)
    rows = rows_of(folder)
    assert [row["samples"] for row in rows] == [2, 0, *[2] * 10]
    assert math.isnan(rows[1]["ssim"])
    assert rows[1]["loss"] > 0
    with RunReader(folder) as reader:
        failure = reader.state().failures["analysis"]
        assert failure.count == 1
        assert said in failure.last
        assert "train frame 2" in failure.last
        books = reader.books()["rank0/train"]
        assert (books.offered, books.delivered, books.dropped, books.pending) == (10, 10, 0, 0)


def test_frames_that_come_back_in_another_order_change_nothing(
    tmp_path: Path, pool: PoolWorkers
) -> None:
    slow = replace(SETTINGS, calls=replace(CALLS, analyze=f"{STUBS}:analyze_slowly"))
    said = make_said(epochs=1)
    calm = rows_of(run_whole(tmp_path / "calm", pool, said))
    assert str(rows_of(run_whole(tmp_path / "slow", pool, said, settings=slow))) == str(calm)
