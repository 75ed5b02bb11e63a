"""Rows, their order, and the files that they make due."""

import json
import math
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.pipeline import Origin
from analyzer_service.workers import InlineWorkers, PoolWorkers, Workers
from shared.codec import encode, size_of
from shared.messages import FrameRef
from tests.analyzer_service.pipeline.driving import (
    ORIGIN,
    SETTINGS,
    drain,
    feed_frames,
    feed_records,
    files_of,
    make_said,
    open_run,
    rows_of,
    run_whole,
)
from tests.analyzer_service.pipeline.stubs import CALLS
from tests.builders import make_batch, make_drop, make_frame, make_run_ended, make_run_started

NAMES = {
    "final_training_metrics.json",
    "final_summary_report.md",
    "epoch_0_metrics.json",
    "epoch_1_metrics.json",
    *(f"train_batch_{number:06d}.png" for number in (4, 8, 12, 16, 20)),
    *(f"val_batch_{number:06d}.png" for number in (1, 2, 3, 4)),
    *(f"frames/train_{number:06d}.npz" for number in (4, 8, 12, 16, 20)),
    *(f"frames/val_{number:06d}.npz" for number in (1, 2, 3, 4)),
}


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def test_a_whole_run_gives_its_rows_and_files(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    folder = run_whole(tmp_path, workers, said)
    assert folder.name == "auto_analysis_demo"
    assert set(files_of(folder)) == NAMES
    rows = rows_of(folder)
    order = [(row["phase"], row["phase_step"]) for row in rows]
    train, val = [("train", n) for n in range(1, 21)], [("val", n) for n in range(1, 5)]
    assert order == train[:10] + val[:2] + train[10:] + val[2:]
    with RunReader(folder) as reader:
        assert [row.release for row in reader.rows()] == list(range(1, 25))
        state = reader.state()
        assert (state.status, state.released, state.ended_at_ns) == (
            "finished",
            24,
            make_run_ended().ended_at_ns,
        )
        assert reader.books()["rank0/train"].delivered == 20
        assert [(e.epoch, e.release) for e in reader.epochs()] == [(0, 12), (1, 24)]
        # Batch 13's analysis raises, by the stub: contained, counted, its row without values.
        assert state.failures["analysis"].count == 1
        assert "thirteen" in state.failures["analysis"].last
        samples = list(reader.sample_values(phase="train", epoch=0))
        assert len(samples) == 20
        assert [s.sample.id for s in samples[:3]] == ["tile-0000", "tile-0001", "tile-0002"]
        assert samples[2].values["mse"] == 2.0
    thirteen = next(r for r in rows if (r["phase"], r["phase_step"]) == ("train", 13))
    assert (thirteen["samples"], math.isnan(thirteen["ssim"])) == (0, True)
    listed = json.loads((folder / "final_summary_report.md").read_text())
    assert set(listed) == {name for name in NAMES if name.endswith((".png", ".json"))}


def test_a_row_joins_scalars_frame_short_names_and_user_scalars(
    tmp_path: Path, workers: Workers
) -> None:
    frame = make_frame(1)
    batch = make_batch(1, mse=None, scalars={"lr": 0.5, "ssim": 9.0, "attention_entropy": 8.0})
    own = make_batch(2, mse=float("nan"))
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), batch, own])
    feed_frames(pipeline, [frame, make_frame(2)])
    drain(pipeline)
    first, second = rows_of(pipeline.folder)
    pipeline.close()
    entropy = float(frame.attention["bam_384"].sum(axis=(1, 2)).astype(float).mean())
    assert first["attention_bam_384_attention_entropy"] == pytest.approx(entropy, rel=1e-6)
    assert first["attention_entropy"] == first["attention_bam_384_attention_entropy"]
    assert "undefined" not in first
    assert first["mse"] == 1.5  # of the frame: the stub's 1.0 and 2.0
    assert math.isnan(second["mse"])  # the trainer's own wins, NaN too
    assert (first["user_ssim"], first["user_attention_entropy"], first["lr"]) == (9.0, 8.0, 0.5)
    assert first["timestamp"] == batch.captured_at_ns / 1e9
    assert (first["batch_size"], first["samples"]) == (8, 2)
    assert math.isnan(first["psnr"])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_order_of_arrival_changes_nothing(tmp_path: Path, workers: Workers, seed: int) -> None:
    said = make_said()
    expected = run_whole(tmp_path / "calm", workers, said)
    shuffled = random.Random(seed)
    patient = replace(SETTINGS, end_grace_s=60.0)  # its end may arrive first
    pipeline = open_run(tmp_path / "wild", workers, settings=patient)
    events = [("record", cseq, m) for cseq, m in enumerate(said.records, start=1)]
    events += [("frame", 0, f) for f in said.frames]  # type: ignore[misc]
    events += shuffled.sample(events, 12)
    shuffled.shuffle(events)
    for kind, cseq, message in events:
        if kind == "record":
            pipeline.record(ORIGIN, cseq, message)
        else:
            feed_frames(pipeline, [message])  # type: ignore[list-item]
        if shuffled.random() < 0.3:
            pipeline.commit()
    drain(pipeline)
    pipeline.close()
    assert files_of(pipeline.folder) == files_of(expected)


@pytest.mark.parametrize("size", [1, 2])
def test_number_of_workers_changes_nothing(tmp_path: Path, workers: Workers, size: int) -> None:
    said = make_said()
    expected = files_of(run_whole(tmp_path / "inline", workers, said))
    pool = PoolWorkers(size)
    try:
        folder = run_whole(tmp_path / "pool", pool, said)
    finally:
        pool.close()
    assert files_of(folder) == expected


def test_a_batch_waits_for_its_frame_and_the_next_one_for_it(
    tmp_path: Path, workers: Workers
) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), make_batch(1), make_batch(2)])
    feed_frames(pipeline, [make_frame(2)])
    for _ in range(3):
        pipeline.commit()
    assert rows_of(pipeline.folder) == []
    assert not pipeline.settled()
    feed_frames(pipeline, [make_frame(1)])
    drain(pipeline)
    assert [row["phase_step"] for row in rows_of(pipeline.folder)] == [1, 2]
    pipeline.close()


def test_a_drop_notice_counts_before_its_turn(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    records = [make_run_started(), make_batch(1), make_batch(2), make_drop(1, 2)]
    feed_records(pipeline, records)
    feed_frames(pipeline, [make_frame(2)])  # named in the notice, yet here in time
    drain(pipeline)
    pipeline.close()
    first, second = rows_of(pipeline.folder)
    assert (first["samples"], second["samples"]) == (0, 2)
    with RunReader(pipeline.folder) as reader:
        books = reader.books()["rank0/train"]
        assert (books.offered, books.delivered, books.dropped, books.pending) == (2, 1, 1, 0)
        assert reader.drops() == {"queue_full": 1}


def test_a_frame_after_its_row_is_late_and_ignored(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), make_batch(1), make_drop(1)])
    drain(pipeline)
    payload = encode(make_frame(1))
    assert not pipeline.frame(ORIGIN, "train", 1, payload)
    answer = pipeline.commit()
    assert answer.credit == {ORIGIN: size_of(payload)}
    assert answer.delivered == {ORIGIN: {"train": [1]}}
    assert rows_of(pipeline.folder)[0]["samples"] == 0
    pipeline.close()
    database = sqlite3.connect(run_database(pipeline.folder))
    assert database.execute("SELECT late FROM streams WHERE stream = 'train'").fetchall() == [(1,)]
    database.close()


def test_committed_names_what_is_safe(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), make_batch(1)])
    pipeline.record(ORIGIN, 4, make_batch(3))  # record 3 is still on its way
    answer = pipeline.commit()
    assert answer.acked == {ORIGIN: 2}
    pipeline.record(ORIGIN, 3, make_batch(2))
    payload = encode(make_frame(1))
    assert pipeline.frame(ORIGIN, "train", 1, payload)
    assert not pipeline.frame(ORIGIN, "train", 1, payload)
    assert pipeline.frames_waiting == 1
    answer = pipeline.commit()
    assert answer.acked == {ORIGIN: 4}
    assert answer.delivered == {ORIGIN: {"train": [1]}}
    assert answer.credit == {ORIGIN: 2 * size_of(payload)}
    assert pipeline.committed_cseq("rank0", 1) == 4
    assert pipeline.delivered("rank0", 1)["train"].ranges == [(1, 1)]
    assert pipeline.committed_cseq("rank7", 1) == 0
    pipeline.close()


def test_bytes_that_are_no_frame_are_a_drop_with_a_reason(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), make_batch(1), make_batch(2)])
    pipeline.frame(ORIGIN, "train", 1, [b"\x00garbage"])
    pipeline.frame(ORIGIN, "train", 2, encode(make_frame(1)))  # says that it is frame 1
    drain(pipeline)
    assert [row["samples"] for row in rows_of(pipeline.folder)] == [0, 0]
    with RunReader(pipeline.folder) as reader:
        assert reader.drops() == {"undecodable": 2}
        assert reader.state().failures["undecodable"].count == 2
        books = reader.books()["rank0/train"]
        assert (books.offered, books.delivered, books.dropped, books.pending) == (2, 0, 2, 0)
    pipeline.close()


def test_a_frame_of_another_batch_is_not_taken_for_this_one(
    tmp_path: Path, workers: Workers
) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), make_batch(1)])
    feed_frames(pipeline, [make_frame(2, fseq=1)])
    drain(pipeline)
    assert rows_of(pipeline.folder)[0]["samples"] == 0
    with RunReader(pipeline.folder) as reader:
        assert "train 2" in reader.state().failures["frame_mismatch"].last
    pipeline.close()


def test_an_unexplained_frame_stays_pending_and_is_named(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    folder = run_whole(tmp_path, workers, make_said().without(3))
    with RunReader(folder) as reader:
        books = reader.books()["rank0/train"]
        assert (books.offered, books.delivered, books.dropped, books.pending) == (20, 19, 0, 1)
        assert "train frame 3" in reader.state().failures["unexplained_frames"].last
        assert reader.state().released == 24
    assert "train frame 3" in caplog.text


def test_a_lost_producer_fails_the_run_and_its_frames_are_drops(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, said.records[:8])
    feed_frames(pipeline, said.frames[:5])
    pipeline.commit()
    pipeline.lost(ORIGIN)
    drain(pipeline)
    assert pipeline.status == "failed"
    with RunReader(pipeline.folder) as reader:
        state = reader.state()
        assert state.reason is not None
        assert "went away" in state.reason
        assert state.ended_at_ns == make_batch(7).captured_at_ns
        assert reader.drops() == {"peer_lost": 2}
        assert state.released == 7
    assert (pipeline.folder / "final_summary_report.md").exists()
    # It was only away: it goes on, and ends.
    feed_records(pipeline, said.records[8:], first=9)
    pipeline.commit()
    assert pipeline.status is None
    feed_frames(pipeline, said.frames[7:])
    drain(pipeline)
    assert pipeline.status == "finished"
    assert len(rows_of(pipeline.folder)) == 24
    pipeline.close()


def test_records_that_never_come_are_skipped_when_the_producer_is_gone(
    tmp_path: Path, workers: Workers
) -> None:
    pipeline = open_run(tmp_path, workers)
    feed_records(pipeline, [make_run_started(), make_batch(1, frame=None)])
    pipeline.record(ORIGIN, 5, make_batch(4, frame=None))
    for _ in range(3):
        pipeline.commit()
    assert len(rows_of(pipeline.folder)) == 1
    pipeline.lost(ORIGIN)
    drain(pipeline)
    assert [row["phase_step"] for row in rows_of(pipeline.folder)] == [1, 4]
    with RunReader(pipeline.folder) as reader:
        assert "records 3..4" in reader.state().failures["missing_records"].last
    pipeline.close()


def test_ranks_end_the_run_together(tmp_path: Path, workers: Workers) -> None:
    pipeline = open_run(tmp_path, workers)
    other = Origin("rank1", 1)
    feed_records(pipeline, [make_run_started(world_size=2), make_run_ended()])
    feed_records(pipeline, [make_run_started(producer="rank1", world_size=2)], origin=other)
    pipeline.commit()
    assert pipeline.status is None
    batch = make_batch(1, rank=1, frame=FrameRef(stream="train", fseq=1))
    feed_records(pipeline, [batch], origin=other, first=2)
    pipeline.lost(other)
    drain(pipeline)
    assert pipeline.status == "failed"
    pipeline.close()


def test_failing_files_are_tried_twice_and_counted(tmp_path: Path, workers: Workers) -> None:
    stubs = "tests.analyzer_service.pipeline.stubs"
    calls = replace(CALLS, dashboard=f"{stubs}:nothing_there", report=f"{stubs}:report_missing")
    settings = replace(SETTINGS, calls=calls)
    folder = run_whole(tmp_path, workers, make_said(epochs=1), settings=settings)
    with RunReader(folder) as reader:
        failure = reader.state().failures["file"]
        assert failure.count == 5  # two train and two val dashboards, the report
        assert failure.last == "report 0: OSError: no report today"
        assert reader.dashboards() == []
    assert (folder / "final_training_metrics.json").exists()
