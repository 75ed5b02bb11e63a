"""What was deleted, in words: only where something was."""

from pathlib import Path

from analyzer_service.commit.letting_go import LetGo
from analyzer_service.sinks.report import write_report
from analyzer_service.sinks.report_retention import let_go_sentences
from tests.analyzer_service.sinks.runs import write_run


def test_nothing_is_said_of_a_folder_that_holds_everything(tmp_path: Path) -> None:
    (tmp_path / "stream.mcap").touch()
    (tmp_path / "stream.1.mcap").touch()
    assert let_go_sentences(LetGo(every=10), tmp_path) == []


def test_dashboards_frames_and_segments_are_named(tmp_path: Path) -> None:
    for name in ("stream.2.mcap", "stream.3.mcap", "stream_2.mcap"):
        (tmp_path / name).touch()
    let_go = LetGo({"train": 90, "val": 1}, every=10, frames=1200)
    assert let_go_sentences(let_go, tmp_path) == [
        "90 training dashboards, as newer ones were drawn (`--keep-dashboards`): every 10th is "
        "kept, and the last.",
        "1 validation dashboard, as newer ones were drawn (`--keep-dashboards`): those of every "
        "10th epoch are kept, and of the last.",
        "The oldest 1,200 files of `frames/`, beyond its size limit (`--frames-limit`).",
        "2 segments of the recording, `stream.mcap` to `stream.1.mcap`, beyond its size limit "
        "(`--record-limit`): a replay of the others lacks what was in them.",
    ]


def test_the_report_ends_with_what_was_deleted(tmp_path: Path) -> None:
    run = write_run(tmp_path / "auto_analysis_demo")
    before = write_report(run.folder, 1000).read_text("utf-8")
    assert "Deleted while the run went on" not in before
    (run.folder / "stream.1.mcap").touch()
    after = write_report(run.folder, 1000).read_text("utf-8")
    _, _, told = after.partition("Deleted while the run went on")
    assert "`stream.mcap`" in told
    run.close()
