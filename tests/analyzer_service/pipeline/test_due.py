"""Files that a disk does not take: tried for a while, in their order, and then given up for now."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import Origin, PipelineSettings, due
from analyzer_service.workers import InlineWorkers, Workers
from tests.analyzer_service.pipeline.driving import (
    SETTINGS,
    drain,
    feed_records,
    files_of,
    make_said,
    open_run,
    run_whole,
)
from tests.analyzer_service.pipeline.stubs import CALLS
from tests.builders import make_run_ended, make_run_started

STUBS = "tests.analyzer_service.pipeline.stubs"


@pytest.fixture
def workers() -> Iterator[Workers]:
    inline = InlineWorkers()
    yield inline
    inline.close()


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(due, "_FIRST_PAUSE_S", 0.01)


def test_a_file_that_a_full_disk_does_not_take_is_written_when_there_is_room(
    tmp_path: Path, workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    settings = replace(SETTINGS, calls=replace(CALLS, final=f"{STUBS}:final_on_a_full_disk"))
    folder = run_whole(tmp_path, workers, make_said(epochs=1), settings=settings)
    with RunReader(folder) as reader:
        assert reader.state().failures == {}
    listed = json.loads((folder / "final_summary_report.md").read_text())
    assert "final_training_metrics.json" in listed, "the report was to wait for it"
    assert len([words for words in caplog.messages if "trying again" in words]) == 1


def test_a_file_that_is_never_taken_is_given_up_and_counted(
    tmp_path: Path, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "_ATTEMPTS_ON_FULL_DISK", 3)
    settings = replace(SETTINGS, calls=replace(CALLS, final=f"{STUBS}:final_on_a_full_disk"))
    folder = run_whole(tmp_path, workers, make_said(epochs=1), settings=settings)
    with RunReader(folder) as reader:
        failure = reader.state().failures["file"]
    assert failure.count == 1
    assert "No space left on device" in failure.last
    assert not (folder / "final_training_metrics.json").exists()
    assert (folder / "final_summary_report.md").exists()


def calling(kind: str, stub: str) -> PipelineSettings:
    """Settings with which files of one kind are made by `stub`."""
    return replace(SETTINGS, calls=replace(CALLS, **{kind: f"{STUBS}:{stub}"}))


def take_up(output: Path, workers: Workers) -> None:
    """Open a run again, with a disk that works, and let it do what is due."""
    pipeline = open_run(output, workers)
    drain(pipeline)
    pipeline.close()


@pytest.mark.parametrize("kind", ["dashboard", "epoch", "final", "report"])
def test_what_the_disk_did_not_take_is_written_when_the_run_is_taken_up_again(
    tmp_path: Path, workers: Workers, kind: str
) -> None:
    said = make_said(epochs=1)
    whole = files_of(run_whole(tmp_path / "calm", workers, said))
    folder = run_whole(tmp_path, workers, said, settings=calling(kind, "refused"))
    assert len(files_of(folder)) < len(whole)
    take_up(tmp_path, workers)
    assert files_of(folder) == whole, "the report lists what was written late, too"
    with RunReader(folder) as reader:
        assert "Input/output error" in reader.state().failures["file"].last, "it did happen"


@pytest.mark.parametrize("kind", ["dashboard", "report"])
def test_what_cannot_be_drawn_is_given_up_for_good(
    tmp_path: Path, workers: Workers, kind: str
) -> None:
    folder = run_whole(tmp_path, workers, make_said(epochs=1), settings=calling(kind, "misdrawn"))
    before = files_of(folder)
    take_up(tmp_path, workers)
    assert files_of(folder) == before


def test_the_last_files_of_an_earlier_end_are_not_written_into_a_resume(
    tmp_path: Path, workers: Workers
) -> None:
    said = make_said(epochs=1)
    folder = run_whole(tmp_path, workers, said, settings=calling("final", "refused"))
    again = make_run_started(analysis_freq=4, incarnation=2, resumed_from_step=10)
    pipeline = open_run(tmp_path, workers, started=again)
    feed_records(pipeline, [again], origin=Origin("rank0", 2))
    drain(pipeline)
    final = folder / "final_training_metrics.json"
    assert not final.exists()
    pipeline.record(Origin("rank0", 2), 2, make_run_ended())
    drain(pipeline)
    pipeline.close()
    assert final.exists()
