"""Temporal consistency of validation tiles; expected values are scipy's."""

import math
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr

from analyzer_service.commit import temporal
from analyzer_service.commit.reader import RunReader, run_database
from analyzer_service.pipeline import Origin
from analyzer_service.workers import InlineWorkers, PoolWorkers, Workers
from shared.messages import BatchFrame, CriticalMessage
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    files_of,
    make_said,
    make_validation,
    open_run,
    rows_of,
    run_whole,
)
from tests.analyzer_service.pipeline.stubs import CALLS
from tests.builders import (
    make_batch,
    make_epoch_ended,
    make_run_ended,
    make_run_started,
    make_samples,
)

LAYERS = ("bam_384", "bam_16")
REAL = replace(
    SETTINGS, calls=replace(CALLS, analyze="analyzer_service.analyses.frame:analyze_frame")
)


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def validations(folder: Path, layer: str = "bam_384") -> list[float]:
    """Temporal consistency of the validation rows that are not superseded."""
    name = f"attention_{layer}_temporal_consistency"
    return [row[name] for row in rows_of(folder) if row["phase"] == "val"]


def validations_or_nan(folder: Path) -> list[float]:
    rows = [row for row in rows_of(folder) if row["phase"] == "val"]
    return [row.get("attention_bam_384_temporal_consistency", math.nan) for row in rows]


def expected(one: BatchFrame, other: BatchFrame, layer: str = "bam_384") -> list[float]:
    pairs = zip(one.attention[layer], other.attention[layer], strict=True)
    return [pearsonr(a.ravel().astype(float), b.ravel().astype(float))[0] for a, b in pairs]


def approx(values: list[float]) -> object:
    return pytest.approx(values, abs=1e-9, nan_ok=True)


def test_tiles_are_compared_with_themselves_an_epoch_earlier(
    tmp_path: Path, workers: Workers
) -> None:
    folder = run_whole(tmp_path, workers, make_said(epochs=3), settings=REAL)
    frames = [make_validation(step) for step in range(1, 7)]
    for layer in LAYERS:
        means = [np.mean(expected(frames[i], frames[i - 2], layer)) for i in range(2, 6)]
        assert validations(folder, layer) == approx([math.nan, math.nan, *means])
    with RunReader(folder) as reader:
        tiles = list(reader.sample_values(phase="val"))
        train = next(iter(reader.sample_values(phase="train")))
        row = list(reader.rows(phase="val"))[-1].values
    values = [tile.values["attention_bam_16_temporal_consistency"] for tile in tiles[-2:]]
    assert values == approx(expected(frames[5], frames[3], "bam_16"))
    assert row["temporal_consistency"] == row["attention_bam_384_temporal_consistency"]
    assert not [name for name in train.values if "temporal" in name]


def test_tiles_go_by_their_id_and_those_that_are_new_are_left_out(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said(epochs=2)
    fourth = make_validation(4, samples=make_samples(2, first=1))  # tile 1 came with batch 1
    said.frames[-1] = fourth
    folder = run_whole(tmp_path, workers, said, settings=REAL)
    first, second = make_validation(1), make_validation(2)
    r = [
        expected(fourth, first.model_copy(update={"attention": _swapped(first)}))[0],
        expected(fourth, second.model_copy(update={"attention": _swapped(second)}))[1],
    ]
    assert validations(folder)[-1] == pytest.approx(np.mean(r), abs=1e-9)


def test_only_the_epoch_before_counts(tmp_path: Path, workers: Workers) -> None:
    said = make_said(epochs=3)
    lost = [f for f in said.frames if (f.stream, f.fseq) != ("val", 3)]
    folder = run_whole(tmp_path, workers, replace(said, frames=lost), settings=REAL)
    undefined = [math.isnan(value) for value in validations_or_nan(folder)]
    assert undefined == [True, True, True, False, True, False]


def test_a_map_of_another_size_and_a_flat_one_are_undefined(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said(epochs=2)
    other = make_validation(3, size=64)
    flat = dict(make_validation(4).attention) | {"bam_384": np.full((2, 8, 8), 0.5, np.float32)}
    said.frames[-2:] = [other, make_validation(4, attention=flat)]
    folder = run_whole(tmp_path, workers, said, settings=REAL)
    assert validations(folder) == approx([math.nan] * 4)
    assert not math.isnan(validations(folder, "bam_16")[-1])


def test_workers_change_nothing(tmp_path: Path, workers: Workers) -> None:
    said = make_said(epochs=3)
    inline = validations(run_whole(tmp_path / "inline", workers, said, settings=REAL))
    with closing(PoolWorkers(2)) as pool:
        pooled = run_whole(tmp_path / "pool", pool, said, settings=REAL)
    assert str(validations(pooled)) == str(inline)


def test_the_analyzer_may_start_again_between_the_epochs(tmp_path: Path, workers: Workers) -> None:
    said = make_said(epochs=2)
    calm = validations(run_whole(tmp_path / "calm", workers, said, settings=REAL))
    for upto in (len(said.records) // 2, len(said.records)):
        pipeline = open_run(tmp_path / "again", workers, started=said.started, settings=REAL)
        feed_records(pipeline, said.records[:upto])
        feed_frames(pipeline, [f for f in said.frames if upto > 20 or f.epoch == 0])
        drain(pipeline)
        pipeline.close()
    assert str(validations(pipeline.folder)) == str(calm)


def test_a_resume_compares_with_what_it_goes_on_from(tmp_path: Path, workers: Workers) -> None:
    folder = _resumed(tmp_path, workers, step=20)
    second, third = (make_validation(step) for step in (4, 12))
    assert validations(folder)[5] == pytest.approx(np.mean(expected(third, second)), abs=1e-9)


def test_a_resume_from_further_back_begins_anew(tmp_path: Path, workers: Workers) -> None:
    folder = _resumed(tmp_path, workers, step=10)
    values = validations(folder)
    assert [math.isnan(value) for value in values] == [True] * 4 + [False] * 2
    second, third = (make_validation(step) for step in (10, 12))
    assert values[5] == pytest.approx(np.mean(expected(third, second)), abs=1e-9)


def test_ranks_are_compared_each_with_itself(tmp_path: Path, workers: Workers) -> None:
    said = make_said(epochs=2, world_size=2)
    other = Origin("rank1", 1)
    records = [m.model_copy(update=_as_rank1(m)) for m in said.records]
    frames = [f.model_copy(update={"rank": 1, "attention": _swapped(f)}) for f in said.frames]
    pipeline = open_run(tmp_path, workers, started=said.started, settings=REAL)
    for cseq, (ours, theirs) in enumerate(zip(said.records, records, strict=True), start=1):
        pipeline.record(said.origin, cseq, ours)
        pipeline.record(other, cseq, theirs)
    feed_frames(pipeline, said.frames)
    feed_frames(pipeline, frames, origin=other)
    drain(pipeline)
    pipeline.close()
    rows = [row for row in rows_of(pipeline.folder, "ranks") if row["phase"] == "val"]
    by_rank = [[r["temporal_consistency"] for r in rows if r["rank"] == n] for n in (0, 1)]
    assert by_rank[0] == approx(by_rank[1])
    assert not math.isnan(by_rank[0][-1])


def test_only_two_epochs_of_maps_are_kept(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, make_said(epochs=5), settings=REAL)
    assert _kept(folder) == [7, 8, 9, 10]


def test_an_epoch_keeps_no_more_maps_than_it_may(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_frame = sum(maps.nbytes for maps in make_validation().attention.values())
    monkeypatch.setattr(temporal, "MAX_EPOCH_BYTES", 2 * a_frame - 1)
    folder = run_whole(tmp_path, workers, make_said(epochs=3), settings=REAL)
    assert _kept(folder) == [3, 5]
    undefined = [math.isnan(value) for value in validations(folder)]
    assert undefined == [True, True, False, True, False, True]


def test_a_replay_of_a_frame_that_was_dropped_makes_its_comparisons_too(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said(epochs=5)
    whole = run_whole(tmp_path / "whole", workers, said, settings=REAL)
    torn = replace(said, frames=[f for f in said.frames if (f.stream, f.fseq) != ("val", 3)])
    folder = run_whole(tmp_path / "torn", workers, torn, settings=REAL)
    assert str(validations_or_nan(folder)) != str(validations(whole))
    assert _replay(tmp_path / "torn", workers, said)
    assert str(validations(folder)) == str(validations(whole))
    assert files_of(folder) == files_of(whole)
    assert _kept(folder) == [7, 8, 9, 10]


def test_a_replay_that_brings_nothing_new_leaves_no_maps(tmp_path: Path, workers: Workers) -> None:
    said = make_said(epochs=5)
    folder = run_whole(tmp_path, workers, said, settings=REAL)
    before = str(validations(folder))
    assert not _replay(tmp_path, workers, said)
    assert str(validations(folder)) == before
    assert _kept(folder) == [7, 8, 9, 10]


def test_a_rebuild_without_the_frames_keeps_what_was_found(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said(epochs=5)
    torn = replace(said, frames=[f for f in said.frames if (f.stream, f.fseq) != ("train", 7)])
    folder = run_whole(tmp_path, workers, torn, settings=REAL)
    before = str(validations(folder))
    assert not math.isnan(validations(folder)[2])
    assert _replay(tmp_path, workers, replace(said, frames=said.frames[6:7]))
    assert str(validations(folder)) == before


def _replay(output: Path, workers: Workers, said: Said) -> bool:
    """Replay `said` into a folder that has the run; tell whether it was rebuilt."""
    late = replace(REAL, accept_late_frames=True)
    pipeline = open_run(output, workers, started=said.started, settings=late)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, said.frames)
    drain(pipeline)
    rebuilt = pipeline.rebuild()
    drain(pipeline)
    assert not pipeline.rebuild()
    pipeline.close()
    return rebuilt


def _kept(folder: Path) -> list[int]:
    """Validation frames whose maps are still in the database."""
    query = (
        "SELECT f.phase_step FROM maps m JOIN frames f ON f.id = m.frame "
        "WHERE m.maps IS NOT NULL ORDER BY 1"
    )
    with closing(sqlite3.connect(run_database(folder))) as connection:
        return [step for (step,) in connection.execute(query)]


def _swapped(frame: BatchFrame) -> dict[str, np.ndarray]:
    return {layer: maps[::-1].copy() for layer, maps in frame.attention.items()}


def _as_rank1(message: CriticalMessage) -> dict[str, object]:
    if message.type == "run_started":
        return {"producer": "rank1"}
    return {"rank": 1} if hasattr(message, "rank") else {}


def _resumed(output: Path, workers: Workers, *, step: int) -> Path:
    """Folder of a run of three epochs that was resumed from `step` and trained to the same end."""
    first = make_said(epochs=3)
    pipeline = open_run(output, workers, started=first.started, settings=REAL)
    feed_records(pipeline, [m for m in first.records if m.type != "run_ended"])
    feed_frames(pipeline, first.frames)
    drain(pipeline)
    again = _second_start(step)
    feed_records(pipeline, again.records, origin=again.origin)
    feed_frames(pipeline, again.frames, origin=again.origin)
    drain(pipeline)
    pipeline.close()
    return pipeline.folder


def _second_start(step: int) -> Said:
    """The epochs beyond `step` again, validated with other maps: those of frames 6 later."""
    started = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=step)
    records: list[CriticalMessage] = [started]
    frames: list[BatchFrame] = []
    for epoch in range(step // 10, 3):
        records += [make_batch(epoch * 10 + i, frame=None) for i in range(1, 11)]
        for number in (2 * epoch + 1, 2 * epoch + 2):
            fseq = len(frames) + 1
            keys = make_validation(number)
            facts = {
                "fseq": fseq,
                **{n: getattr(keys, n) for n in ("epoch", "batch_idx", "global_step")},
            }
            records.append(make_batch(number, phase="val", frame={"stream": "val", "fseq": fseq}))
            frames.append(make_validation(number + 6, phase_step=number, **facts))
        records.append(make_epoch_ended(epoch))
    return Said(Origin("rank0", 2), started, [*records, make_run_ended()], frames)
