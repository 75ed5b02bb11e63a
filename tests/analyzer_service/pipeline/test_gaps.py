"""Frames that no batch names: each is delivered, dropped by name, or an error that is seen."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import RunPipeline
from analyzer_service.workers import InlineWorkers, Workers
from shared.messages import BatchFrame, CriticalMessage, Totals
from tests.analyzer_service.pipeline.driving import (
    ORIGIN,
    drain,
    feed_frames,
    feed_records,
    open_run,
    rows_of,
)
from tests.builders import make_batch, make_drop, make_frame, make_run_ended, make_run_started

# Batch 2 could not be kept by its producer: its frame was offered all the same.
WITHOUT_2 = [make_run_started(), make_batch(1), make_batch(3)]


@pytest.fixture
def workers() -> Iterator[Workers]:
    with closing(InlineWorkers()) as made:
        yield made


def run_of(
    output: Path, workers: Workers, records: list[CriticalMessage], frames: list[BatchFrame]
) -> Path:
    pipeline = open_run(output, workers)
    feed_records(pipeline, records)
    feed_frames(pipeline, frames)
    drain(pipeline)
    pipeline.close()
    return pipeline.folder


def books_of(folder: Path) -> tuple[int, int, int, int]:
    with RunReader(folder) as reader:
        books = reader.books()["rank0/train"]
    return books.offered, books.delivered, books.dropped, books.pending


def failures_of(folder: Path) -> dict[str, int]:
    with RunReader(folder) as reader:
        return {kind: found.count for kind, found in reader.state().failures.items()}


def test_a_frame_whose_batch_was_lost_counts_as_offered_and_delivered(
    tmp_path: Path, workers: Workers
) -> None:
    frames = [make_frame(step) for step in (1, 2, 3)]
    folder = run_of(tmp_path, workers, [*WITHOUT_2, make_run_ended()], frames)
    assert books_of(folder) == (3, 3, 0, 0)
    assert failures_of(folder) == {}
    assert [row["phase_step"] for row in rows_of(folder)] == [1, 3]


def test_a_drop_whose_batch_was_lost_counts_with_its_reason(
    tmp_path: Path, workers: Workers
) -> None:
    records = [*WITHOUT_2, make_drop(2, reason="capture_failed"), make_run_ended()]
    folder = run_of(tmp_path, workers, records, [make_frame(1), make_frame(3)])
    assert books_of(folder) == (3, 2, 1, 0)
    assert failures_of(folder) == {}
    with RunReader(folder) as reader:
        assert reader.drops() == {"capture_failed": 1}


def test_a_gap_between_frames_is_an_error_that_is_seen(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run_of(
        tmp_path, workers, [*WITHOUT_2, make_run_ended()], [make_frame(1), make_frame(3)]
    )
    assert books_of(folder) == (3, 2, 0, 1)
    assert failures_of(folder) == {"unexplained_frames": 1}
    said = "rank0: train frame 2 neither arrived nor was dropped by name"
    assert ("ERROR", said) in [(r.levelname, r.getMessage()) for r in caplog.records]


def test_a_gap_is_awaited_while_its_frames_may_come(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, WITHOUT_2)
    feed_frames(pipeline, [make_frame(3), make_frame(1)])
    drain_once(pipeline)
    assert [row["phase_step"] for row in rows_of(pipeline.folder)] == [1]
    feed_frames(pipeline, [make_frame(2)])
    drain_once(pipeline)
    assert [row["phase_step"] for row in rows_of(pipeline.folder)] == [1, 3]
    assert pipeline.delivered("rank0", 1)["train"].ranges == [(1, 3)]
    pipeline.close()


def drain_once(pipeline: RunPipeline) -> None:
    for _ in range(4):
        pipeline.commit()


def test_frames_after_the_last_batch_are_known_from_the_end(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    ended = make_run_ended(totals={"train": Totals(offered=5, delivered=1, pending=4)})
    records = [make_run_started(), make_batch(1), make_batch(2), ended]
    folder = run_of(tmp_path, workers, records, [make_frame(step) for step in (1, 2, 3)])
    assert books_of(folder) == (5, 3, 0, 2)
    assert failures_of(folder) == {"unexplained_frames": 2}
    assert "train frames 4 to 5 neither arrived nor were dropped by name" in caplog.text


def test_a_producer_that_counts_fewer_frames_than_it_named_is_told(
    tmp_path: Path, workers: Workers
) -> None:
    ended = make_run_ended(totals={"train": Totals(offered=1, delivered=1)})
    records = [make_run_started(), make_batch(1), make_batch(2), ended]
    folder = run_of(tmp_path, workers, records, [make_frame(1), make_frame(2)])
    assert failures_of(folder) == {"books_differ": 1}
    with RunReader(folder) as reader:
        last = reader.state().failures["books_differ"].last
    assert last == "rank0: it says that it offered 1 train frames, 2 are known"


def test_gaps_of_a_producer_that_is_lost_are_lost_with_it(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, WITHOUT_2)
    feed_frames(pipeline, [make_frame(1)])
    pipeline.commit()
    pipeline.lost(ORIGIN)
    drain(pipeline)
    pipeline.close()
    assert books_of(pipeline.folder) == (3, 1, 2, 0)
    with RunReader(pipeline.folder) as reader:
        assert reader.drops() == {"peer_lost": 2}


def test_an_impossible_number_costs_no_time(tmp_path: Path, workers: Workers) -> None:
    ended = make_run_ended(totals={"train": Totals(offered=2**62)})
    folder = run_of(tmp_path, workers, [make_run_started(), make_batch(1), ended], [make_frame(1)])
    assert failures_of(folder) == {"unexplained_frames": 2**32 - 2, "books_differ": 1}
    assert books_of(folder) == (2**32 - 1, 1, 0, 2**32 - 2)
