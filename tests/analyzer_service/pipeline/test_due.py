"""Files that a full disk does not take: tried for a while, in their order, and then given up."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.pipeline import due
from analyzer_service.workers import InlineWorkers, Workers
from tests.analyzer_service.pipeline.driving import SETTINGS, make_said, run_whole
from tests.analyzer_service.pipeline.stubs import CALLS

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
