"""Which validation tiles are kept for the run's tests of attention against tissue."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from analyzer_service.analyses.tile_choice import tile_key
from analyzer_service.commit import probe_tiles
from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Origin
from analyzer_service.workers import InlineWorkers, Workers
from shared.messages import BatchFrame
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    Said,
    drain,
    feed_frames,
    feed_records,
    make_said,
    open_run,
    run_whole,
)
from tests.builders import (
    make_batch,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
    make_samples,
)


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def validated(*epochs: list[int], ended: bool = True) -> Said:
    """A run of validation alone: each epoch's tiles by number, two a batch."""
    started = make_run_started()
    records, frames = [started], []
    step = 0
    for number, tiles in enumerate(epochs):
        for first in range(0, len(tiles), 2):
            step += 1
            ids = tiles[first : first + 2]
            samples = tuple(make_samples(1, first=each)[0] for each in ids)
            records.append(make_batch(step, phase="val", epoch=number))
            frames.append(make_frame(step, phase="val", epoch=number, samples=samples))
        if ended or number < len(epochs) - 1:
            records.append(make_epoch_ended(number))
    return Said(Origin(started.producer, 1), started, [*records, make_run_ended()], frames)


def chosen(folder: Path) -> tuple[int | None, list[str]]:
    with RunReader(folder) as reader:
        epoch, tiles = reader.probe_tiles()
    return epoch, [tile.sample.id for tile in tiles]


def ids(*numbers: int) -> list[str]:
    """Ids of tiles in the order of the choice."""
    return sorted((make_samples(1, first=n)[0].id for n in numbers), key=tile_key)


def test_the_tiles_of_the_last_epoch_are_there_with_their_maps(
    tmp_path: Path, workers: Workers
) -> None:
    said = validated([0, 1, 2, 3], [0, 1, 2, 3])
    folder = run_whole(tmp_path, workers, said)
    assert chosen(folder) == (1, ids(0, 1, 2, 3))
    with RunReader(folder) as reader:
        tiles = {tile.sample.id: tile.maps for tile in reader.probe_tiles()[1]}
    for frame in said.frames[2:]:
        for sample, gate in zip(frame.samples, frame.attention["bam_384"], strict=True):
            np.testing.assert_array_equal(tiles[sample.id]["attention/bam_384"], gate)


def test_a_tile_that_comes_twice_is_taken_once(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, validated([0, 1, 1, 2]))
    assert chosen(folder) == (0, ids(0, 1, 2))


def test_the_choice_does_not_depend_on_the_order(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_tiles, "MOST_TILES", 3)
    tiles = list(range(8))
    one = run_whole(tmp_path / "one", workers, validated(tiles))
    other = run_whole(tmp_path / "other", workers, validated(tiles[::-1]))
    assert chosen(one) == chosen(other) == (0, ids(*tiles)[:3])
    assert kept_maps(one) == 3


def test_no_more_bytes_are_kept_than_may_be(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_map = make_frame(1, phase="val").attention["bam_384"][0].nbytes
    monkeypatch.setattr(probe_tiles, "MOST_BYTES", 2 * a_map)
    folder = run_whole(tmp_path, workers, validated(list(range(6))))
    assert chosen(folder) == (0, ids(*range(6))[:2])


def test_maps_of_different_sizes_do_not_make_the_choice_depend_on_the_order(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probe_tiles, "MOST_BYTES", 9000)
    pairs = [[0, 1], [2, 3], [4, 5], [6, 7]]
    found = []
    for number, order in enumerate(permutations(pairs, 4)):
        said = validated([tile for pair in order for tile in pair])
        frames = [
            resized(frame, 32 if frame.samples[0].id in ids(0, 4) else 8) for frame in said.frames
        ]
        folder = run_whole(tmp_path / str(number), workers, replace(said, frames=frames))
        found.append(chosen(folder))
    assert all(choice == found[0] for choice in found)


def resized(frame: BatchFrame, side: int) -> BatchFrame:
    gates = np.full((len(frame.samples), side, side), 0.5, np.float32)
    return frame.model_copy(update={"attention": {"bam_384": gates}})


@pytest.mark.parametrize("order", [[0, 1], [1, 0]])
def test_a_tile_that_two_ranks_have_is_that_of_the_first(
    tmp_path: Path, workers: Workers, order: list[int]
) -> None:
    """A distributed sampler gives some ranks tiles of others, so that all have as many."""
    ranks = [of_rank(validated([0, 1, 2, 3]), rank) for rank in range(2)]
    pipeline = open_run(tmp_path, workers, started=ranks[0].started)
    for said in ranks:
        feed_records(pipeline, said.records[:1], origin=said.origin)
    for rank in order:
        said = ranks[rank]
        feed_records(pipeline, said.records[1:-1], origin=said.origin, first=2)
        feed_frames(pipeline, said.frames, origin=said.origin)
        pipeline.commit()
    for said in ranks:
        feed_records(pipeline, said.records[-1:], origin=said.origin, first=len(said.records))
    drain(pipeline)
    pipeline.close()
    with RunReader(pipeline.folder) as reader:
        tiles = reader.probe_tiles()[1]
    assert [tile.sample.id for tile in tiles] == ids(0, 1, 2, 3)
    assert all((tile.maps["attention/bam_384"] == 0.25).all() for tile in tiles)
    assert kept_maps(pipeline.folder) == 4


def of_rank(said: Said, rank: int) -> Said:
    """The same as rank 0 or 1 says it, with maps that tell them apart."""
    changes = {"rank": rank}
    started = said.started.model_copy(update={"producer": f"rank{rank}", "world_size": 2})
    frames = [
        frame.model_copy(
            update={
                **changes,
                "attention": {
                    name: np.full_like(maps, 0.25 + rank / 2)
                    for name, maps in frame.attention.items()
                },
            }
        )
        for frame in said.frames
    ]
    records = [
        record.model_copy(update=changes) if hasattr(record, "rank") else record
        for record in said.records
    ]
    return Said(Origin(f"rank{rank}", 1), started, [started, *records[1:]], frames)


def test_an_epoch_that_is_broken_off_does_not_replace_a_whole_one(
    tmp_path: Path, workers: Workers
) -> None:
    folder = run_whole(tmp_path, workers, validated([0, 1, 2, 3], [0, 1], ended=False))
    assert chosen(folder) == (0, ids(0, 1, 2, 3))


def test_without_a_whole_epoch_the_last_one_counts(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, validated([0, 1], ended=False))
    assert chosen(folder) == (0, ids(0, 1))


def test_two_epochs_of_maps_are_kept(tmp_path: Path, workers: Workers) -> None:
    folder = run_whole(tmp_path, workers, validated(*[[0, 1, 2, 3]] * 5))
    assert kept_maps(folder) == 8


def test_a_resume_takes_superseded_tiles_back(tmp_path: Path, workers: Workers) -> None:
    said = make_said(epochs=2)
    folder = run_whole(tmp_path, workers, said)
    assert chosen(folder)[0] == 1
    again = make_run_started(incarnation=2, resumed_from_step=10, analysis_freq=4)
    pipeline = open_run(tmp_path, workers, started=again)
    feed_records(pipeline, [again, make_run_ended()], origin=Origin("rank0", 2))
    drain(pipeline)
    pipeline.close()
    assert chosen(folder) == (0, ids(0, 1, 2, 3))


def test_a_late_frame_takes_its_place(tmp_path: Path, workers: Workers) -> None:
    said = validated([0, 1, 2, 3])
    whole = run_whole(tmp_path / "whole", workers, said)
    late: BatchFrame = said.frames[0]
    part = replay_in_two(tmp_path / "part", workers, said, late)
    assert chosen(part) == chosen(whole)


def replay_in_two(output: Path, workers: Workers, said: Said, late: BatchFrame) -> Path:
    """The run without one frame, then that frame."""
    settings = replace(SETTINGS, accept_late_frames=True)
    run_whole(output, workers, replace(said, frames=said.frames[1:]), settings=settings)
    pipeline = open_run(output, workers, started=said.started, settings=settings)
    feed_records(pipeline, said.records)
    feed_frames(pipeline, [late])
    drain(pipeline)
    assert pipeline.rebuild()
    drain(pipeline)
    pipeline.close()
    return pipeline.folder


def kept_maps(folder: Path) -> int:
    with RunReader(folder) as reader:
        query = "SELECT count(*) FROM tile_maps"
        (count,) = reader._connection.execute(query).fetchone()
    return int(count)
