"""Which stain vectors a run is measured with, and that they do not depend on what came when."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from analyzer_service.analyses.macenko import macenko_from_od, tissue_pixels
from analyzer_service.analyses.stain_vectors import STAIN_VECTORS
from analyzer_service.analyses.tissue_facts import TissueFacts
from analyzer_service.commit.database import StoreError
from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.store import Store
from analyzer_service.pipeline import Origin, RunPipeline
from analyzer_service.pipeline import staining as staining_module
from analyzer_service.pipeline.staining import RunStaining
from analyzer_service.workers import InlineWorkers, Workers
from shared.codec import encode, size_of
from shared.messages import DropNotice, RunStarted
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    files_of,
    make_said,
    open_run,
    rows_of,
    run_whole,
)
from tests.builders import make_frame, make_run_ended, make_run_started

MACENKO = replace(SETTINGS, stain_vectors="macenko")
MEASURED = replace(
    MACENKO, calls=replace(SETTINGS.calls, analyze="analyzer_service.analyses.frame:analyze_frame")
)


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def vectors_of(pipeline: RunPipeline, started: RunStarted) -> TissueFacts | None:
    return RunStaining(Store(pipeline.folder), "macenko").facts(started)


def expected(said: Said, frames: list[int], tiles: int) -> np.ndarray:
    """Macenko's vectors of the first tiles of training frames, by number."""
    images = [image for number in frames for image in said.frames[number - 1].input][:tiles]
    return macenko_from_od(np.concatenate([tissue_pixels(image, limit=2000) for image in images]))


@pytest.mark.parametrize(
    ("stain", "choice", "name"),
    [
        ("he", "ruifrok", "ruifrok"),
        ("unknown", "ruifrok", "ruifrok"),
        ("ihc", "ruifrok", "ruifrok_hdab"),
        ("ihc", "qupath", "qupath_hdab"),
    ],
)
def test_named_vectors_follow_the_stain(
    tmp_path: Path, workers: Workers, stain: str, choice: str, name: str
) -> None:
    pipeline = open_run(tmp_path, workers, settings=replace(SETTINGS, stain_vectors=choice))
    started = make_run_started(stain=stain)
    facts = RunStaining(Store(pipeline.folder), choice).facts(started)  # type: ignore[arg-type]
    pipeline.close()
    assert facts == TissueFacts(STAIN_VECTORS[name], started.mpp)


def test_the_estimate_is_of_the_first_sixteen_tiles(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records[:12])
    feed_frames(pipeline, said.frames[:7])
    pipeline.commit()
    pipeline.commit()
    assert vectors_of(pipeline, said.started) is None
    assert pipeline.frames_waiting == 7  # 14 tiles: held
    feed_frames(pipeline, said.frames[7:9])
    pipeline.commit()
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [*range(1, 9)], 16), atol=1e-6)
    assert facts.vectors.stains == ("hematoxylin", "dab")


@pytest.mark.parametrize("order", [[*range(24)], [*range(23, -1, -1)], [*range(5, 24), *range(5)]])
def test_rows_do_not_depend_on_the_order_of_arrival(
    tmp_path: Path, workers: Workers, order: list[int]
) -> None:
    said = make_said()
    whole = run_whole(tmp_path / "whole", workers, said, settings=MEASURED)
    pipeline = open_run(tmp_path / "other", workers, settings=MEASURED)
    for place in order:
        feed_frames(pipeline, [said.frames[place]])
        pipeline.commit()
    feed_records(pipeline, said.records)
    drain(pipeline)
    pipeline.close()
    assert files_of(pipeline.folder) == files_of(whole)


def test_a_dropped_frame_is_passed_over(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    notice = DropNotice(
        stream="train", first_fseq=2, last_fseq=2, reason="queue_full", captured_at_ns=1
    )
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records[:12])
    feed_frames(pipeline, said.without(2).frames[:9])
    pipeline.commit()
    pipeline.commit()
    assert vectors_of(pipeline, said.started) is None  # the second frame may still come
    feed_records(pipeline, [notice], first=13)
    pipeline.commit()
    pipeline.commit()
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    frames = [1, *range(3, 10)]
    np.testing.assert_allclose(facts.vectors.rows, expected(said, frames, 16), atol=1e-6)


def test_the_end_of_an_epoch_is_enough(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    short = replace(said, records=[*said.records[:4], said.records[13]], frames=said.frames[:3])
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_frames(pipeline, short.frames)
    feed_records(pipeline, short.records)
    pipeline.commit()
    pipeline.commit()
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [1, 2, 3], 6), atol=1e-6)


def test_large_frames_do_not_wait_for_all_sixteen(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staining_module, "MOST_BYTES", 1)
    said = make_said()
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records[:3])
    feed_frames(pipeline, said.frames[:1])
    pipeline.commit()
    pipeline.commit()
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [1], 2), atol=1e-6)


def test_blank_tiles_give_the_named_vectors_and_the_run_goes_on(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    blank = [
        frame.model_copy(update={"input": np.full_like(frame.input, 255)}) for frame in said.frames
    ]
    folder = run_whole(tmp_path, workers, replace(said, frames=blank), settings=MEASURED)
    facts = RunStaining(Store(folder), "macenko").facts(said.started)
    assert facts is not None
    assert facts.vectors == STAIN_VECTORS["ruifrok_hdab"]
    rows = rows_of(folder)
    assert len(rows) == 24
    assert all(row["tissue_fraction"] == 0 and row["tiles_without_tissue"] == 2 for row in rows)


def test_a_taken_up_run_keeps_its_vectors(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    folder = run_whole(tmp_path, workers, said, settings=MACENKO)
    before = RunStaining(Store(folder), "macenko").facts(said.started)
    again = make_run_started(incarnation=2, resumed_from_step=20, analysis_freq=4)
    pipeline = open_run(tmp_path, workers, started=again, settings=MACENKO)
    gray = make_frame(21).model_copy(update={"input": np.full((2, 32, 32, 3), 90, np.uint8)})
    feed_records(pipeline, [again, make_run_ended()], origin=Origin("rank0", 2))
    feed_frames(pipeline, [gray], origin=Origin("rank0", 2))
    drain(pipeline)
    pipeline.close()
    assert RunStaining(Store(folder), "macenko").facts(again) == before


def test_held_frames_come_to_an_end_when_their_trainer_dies(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records[:3])
    feed_frames(pipeline, said.frames[:2])
    pipeline.commit()
    pipeline.lost(said.origin)
    drain(pipeline)
    pipeline.close()
    assert [row["samples"] for row in rows_of(pipeline.folder)] == [2, 2]


def test_an_estimate_that_cannot_be_decoded_leaves_the_frame_to_its_analysis(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records)
    pipeline.frame(said.origin, "train", 1, [b"no frame"])
    feed_frames(pipeline, said.frames[1:])
    drain(pipeline)
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [*range(2, 10)], 16), atol=1e-6)
    assert [row["samples"] for row in rows_of(pipeline.folder)][:2] == [0, 2]


def test_a_frame_that_never_came_is_not_waited_for_after_the_end(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.without(2).frames)
    drain(pipeline)
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(
        facts.vectors.rows, expected(said, [1, *range(3, 10)], 16), atol=1e-6
    )
    with RunReader(pipeline.folder) as reader:
        assert reader.state().failures["unexplained_frames"].count == 1
        books = reader.books()["rank0/train"]
    assert (books.offered, books.delivered, books.pending) == (20, 19, 1)


def test_a_run_whose_first_rank_is_never_heard_comes_to_an_end(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said(producer="rank1", world_size=2)
    folder = run_whole(tmp_path, workers, said, settings=MACENKO)
    facts = RunStaining(Store(folder), "macenko").facts(said.started)
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [*range(1, 9)], 16), atol=1e-6)
    assert sum(row["samples"] for row in rows_of(folder)) == 46  # one analysis fails on purpose


def test_frames_are_not_held_beyond_their_producers_credit(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = make_said(producer="rank1", world_size=2)
    monkeypatch.setattr(staining_module, "MOST_HELD", 3 * size_of(encode(said.frames[0])))
    pipeline = open_run(tmp_path, workers, started=said.started, settings=MACENKO)
    feed_records(pipeline, said.records[:8], origin=said.origin)
    for count, held in ((1, 1), (2, 2), (4, 0)):
        feed_frames(pipeline, said.frames[:count], origin=said.origin)
        pipeline.commit()
        pipeline.commit()
        pipeline.commit()
        assert pipeline.frames_waiting == held
    pipeline.close()


def test_frames_that_come_at_once_wait_for_their_records(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = make_said()
    monkeypatch.setattr(staining_module, "MOST_HELD", 1)
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [*range(1, 9)], 16), atol=1e-6)


@pytest.mark.parametrize("late", [False, True])
def test_a_start_without_a_tile_leaves_the_estimate_to_the_next(
    tmp_path: Path, workers: Workers, late: bool
) -> None:
    """A run that died before its first batch, then resumed; its first start is heard of last."""
    again = make_said(incarnation=2, resumed_from_step=0)
    starts = [
        (Origin("rank0", 1), [make_run_started(analysis_freq=4)]),
        (again.origin, again.records),
    ]
    pipeline = open_run(tmp_path, workers, started=again.started, settings=MACENKO)
    for origin, records in reversed(starts) if late else starts:
        feed_records(pipeline, records, origin=origin)
        feed_frames(pipeline, again.frames if origin == again.origin else [], origin=origin)
    drain(pipeline)
    facts = vectors_of(pipeline, again.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(again, [*range(1, 9)], 16), atol=1e-6)


def test_a_store_that_fails_does_not_change_the_estimate(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = make_said()
    monkeypatch.setattr(staining_module, "MOST_BYTES", 1)
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_records(pipeline, said.records[:3])
    feed_frames(pipeline, said.frames[:2])
    pipeline.commit()
    with monkeypatch.context() as failing:
        failing.setattr(Store, "put", refuse)
        with pytest.raises(StoreError):
            pipeline.commit()
    pipeline.commit()
    facts = vectors_of(pipeline, said.started)
    pipeline.close()
    assert facts is not None
    np.testing.assert_allclose(facts.vectors.rows, expected(said, [1], 2), atol=1e-6)


def refuse(*_: object, **__: object) -> None:
    raise sqlite3.OperationalError("database or disk is full")


@pytest.mark.parametrize(
    ("first", "then"), [("macenko", "ruifrok"), ("ruifrok", "macenko"), ("qupath", "ruifrok")]
)
def test_a_taken_up_run_keeps_its_choice(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture, first: str, then: str
) -> None:
    said = make_said()
    folder = run_whole(tmp_path, workers, said, settings=replace(SETTINGS, stain_vectors=first))
    before = RunStaining(Store(folder), first).facts(said.started)  # type: ignore[arg-type]
    pipeline = open_run(tmp_path, workers, settings=replace(SETTINGS, stain_vectors=then))
    pipeline.close()
    assert f"measured with {first} stain vectors since it began" in caplog.text
    assert RunStaining(Store(folder), then).facts(said.started) == before  # type: ignore[arg-type]
    assert before is not None


def test_held_frames_are_no_work_that_an_end_waits_for(tmp_path: Path, workers: Workers) -> None:
    said = make_said()
    pipeline = open_run(tmp_path, workers, settings=MACENKO)
    feed_frames(pipeline, said.frames[:2])
    pipeline.commit()
    assert (pipeline.frames_waiting, pipeline.at_work) == (2, False)
    assert pipeline.held_bytes == sum(size_of(encode(frame)) for frame in said.frames[:2])
    pipeline.close()
