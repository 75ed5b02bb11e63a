"""Which dashboards a run keeps, whatever the order in which they are drawn."""

import random
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.database import open_reader
from analyzer_service.commit.reader import RunReader
from analyzer_service.commit.standing import Standings
from analyzer_service.pipeline import Origin, PipelineSettings
from analyzer_service.verify.run_folder import verify_folder
from analyzer_service.workers import InlineWorkers, Workers
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    drain,
    feed_frames,
    feed_records,
    files_of,
    make_said,
    open_run,
    run_whole,
)
from tests.builders import make_batch, make_run_ended, make_run_started

EVERY_THIRD = replace(SETTINGS, keep_dashboards=3)


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


def pictures(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("*_batch_*.png"))


def drawn(folder: Path) -> list[str]:
    with RunReader(folder) as reader:
        return sorted(each.file for each in reader.dashboards())


def test_every_third_dashboard_stays_and_the_last(tmp_path: Path, workers: Workers) -> None:
    """Four epochs: training batches 4, 8, … 40; validation 1 and 2, 3 and 4, …, 8."""
    folder = run_whole(tmp_path, workers, make_said(epochs=4), settings=EVERY_THIRD)
    expected = [f"train_batch_{step:06d}.png" for step in (12, 24, 36, 40)]
    expected += [f"val_batch_{step:06d}.png" for step in (5, 6, 7, 8)]
    assert pictures(folder) == drawn(folder) == expected
    with RunReader(folder) as reader:
        gone = reader.let_go()
    assert (dict(gone.dashboards), gone.every) == ({"train": 6, "val": 4}, 3)
    with closing(open_reader(folder)) as connection:
        drawn_ever = Standings(connection).read().dashboards
    assert drawn_ever == 10 + 8, "the gallery sees that one has taken another's place"
    findings = verify_folder(folder)
    assert findings.sound, findings.lines()
    assert any("6 training dashboards" in fact for fact in findings.facts)


def test_one_keeps_everything_as_it_is_without_the_setting(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said()
    whole = run_whole(tmp_path / "whole", workers, said)
    one = replace(SETTINGS, keep_dashboards=1)
    assert files_of(run_whole(tmp_path / "one", workers, said, settings=one)) == files_of(whole)


class Shuffled(InlineWorkers):
    """Four workers, which finish what they were given in any order."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)

    @property
    def size(self) -> int:
        return 4

    def poll(self) -> int:
        waiting = list(self._waiting.items())
        self._random.shuffle(waiting)
        self._waiting = dict(waiting)
        return super().poll()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_stays_does_not_depend_on_when_it_was_drawn(
    tmp_path: Path, workers: Workers, seed: int
) -> None:
    said = make_said(epochs=4)
    limits = replace(EVERY_THIRD, frames_limit_bytes=100_000)
    one_by_one = run_whole(tmp_path / "one", workers, said, settings=limits)
    with closing(Shuffled(seed)) as four:
        shuffled = run_whole(tmp_path / "four", four, said, settings=limits)
    assert files_of(shuffled) == files_of(one_by_one)
    with RunReader(shuffled) as reader:
        assert 0 < reader.let_go().frames < 10 + 8, "some frames stay, some go"


def test_a_resume_that_takes_the_latest_back_draws_the_one_before_again(
    tmp_path: Path, workers: Workers
) -> None:
    """As of step 30, dashboard 28 is the latest; it went as that of step 32 was drawn."""
    said = make_said(epochs=4)
    pipeline = open_run(tmp_path, workers, started=said.started, settings=EVERY_THIRD)
    feed_records(pipeline, said.records[:-1], origin=said.origin)
    feed_frames(pipeline, said.frames, origin=said.origin)
    drain(pipeline)
    assert "train_batch_000028.png" not in pictures(pipeline.folder)
    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=30)
    feed_records(pipeline, [again], origin=Origin("rank0", 2))
    drain(pipeline)
    kept = [name for name in pictures(pipeline.folder) if name.startswith("train")]
    assert kept == [f"train_batch_{step:06d}.png" for step in (12, 24, 28)]
    records = [make_batch(step, frame=None) for step in range(31, 41)]
    feed_records(pipeline, [*records, make_run_ended()], origin=Origin("rank0", 2), first=2)
    drain(pipeline)
    pipeline.close()
    kept = [name for name in pictures(pipeline.folder) if name.startswith("train")]
    assert kept == [f"train_batch_{step:06d}.png" for step in (12, 24, 36, 40)]
    assert drawn(pipeline.folder) == pictures(pipeline.folder)


def test_frames_beyond_their_limit_are_counted(tmp_path: Path, workers: Workers) -> None:
    small: PipelineSettings = replace(SETTINGS, frames_limit_bytes=1)
    folder = run_whole(tmp_path, workers, make_said(), settings=small)
    with RunReader(folder) as reader:
        assert reader.let_go().frames == 5 + 4
    assert any("oldest 9 files of `frames/`" in fact for fact in verify_folder(folder).facts)
