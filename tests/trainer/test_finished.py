"""What the command says at the end: where things are, and what is not there."""

from dataclasses import replace
from pathlib import Path

import pytest

from shared.messages import Books, RecordTotals, Totals
from trainer.finished import PAGE, REPORT, Finished, describe, report_stamp

FINISHED = Finished(
    "r", Path("c"), Path("auto_analysis_r"), Path("r.mcap"), True, 0.001, 0.85, report="written"
)


def line(finished: Finished, what: str) -> str:
    [found] = [each for each in describe(finished) if each.startswith(f"  {what} ")]
    return found.removeprefix(f"  {what}").strip()


def test_the_end_says_where_everything_is() -> None:
    assert line(FINISHED, "Run folder") == "auto_analysis_r"
    assert line(FINISHED, "Report") == f"auto_analysis_r/{REPORT}"
    assert line(FINISHED, "With plots") == f"auto_analysis_r/{PAGE}"
    assert line(FINISHED, "Validation").endswith("SSIM 0.850")
    assert "replay r.mcap" in line(FINISHED, "Replay")
    assert "Records" not in "\n".join(describe(FINISHED))


def test_what_was_not_recorded_cannot_be_replayed() -> None:
    bare = Finished("r", Path("c"), None, None, True, None, None)
    assert "--record FILE.mcap" in line(bare, "Replay")
    assert not [each for each in describe(bare) if "Report" in each or "folder" in each]


def test_the_report_of_another_process_is_not_said_to_be_there_yet() -> None:
    remote = replace(FINISHED, report="expected")
    assert line(remote, "Report") == f"auto_analysis_r/{REPORT} (when the analyzer is through)"


def test_a_report_that_was_never_written_is_not_said_to_be_there(tmp_path: Path) -> None:
    killed = replace(FINISHED, run_folder=tmp_path, report="missing")
    assert line(killed, "Run folder") == str(tmp_path)
    assert line(killed, "Report") == "none, the analyzer ended without it: replay it, see below"
    assert "replay r.mcap" in line(killed, "Replay")


def test_a_run_folder_that_was_never_made_is_not_said_to_be_there(tmp_path: Path) -> None:
    dead = replace(FINISHED, run_folder=tmp_path / "none", report="missing")
    assert str(tmp_path) not in line(dead, "Run folder")


def test_without_a_recording_nothing_brings_the_report() -> None:
    lost = replace(FINISHED, report="missing", recording=None)
    assert line(lost, "Report").endswith("no recording holds the run")


@pytest.mark.parametrize("there", [True, False])
def test_a_report_of_an_earlier_start_is_told_from_its_successor(
    tmp_path: Path, there: bool
) -> None:
    if there:
        (tmp_path / REPORT).write_text("of the first start")
    earlier = report_stamp(tmp_path)
    assert (earlier is not None) == there
    assert report_stamp(tmp_path) == earlier
    (tmp_path / "new").write_text("of the resume")
    (tmp_path / "new").replace(tmp_path / REPORT)
    assert report_stamp(tmp_path) not in (None, earlier)


def test_no_folder_has_no_report(tmp_path: Path) -> None:
    assert report_stamp(None) is None
    assert report_stamp(tmp_path / "none") is None


def test_the_end_says_the_books_of_frames_and_records() -> None:
    books = Books(
        frames={"train": Totals(offered=1200, delivered=1199, dropped=1), "val": Totals()},
        drops={"train": {"no_slot": 1}, "val": {}},
        records=RecordTotals(offered=1210, committed=1208, lost=2),
    )
    lines = describe(Finished("r", Path("c"), None, None, True, None, None, books=books))
    assert lines[2:4] == [
        "  Frames train offered 1,200 = delivered 1,199 + dropped 1 (1 no_slot) + pending 0",
        "  Records      handed over 1,210 = committed 1,208 + lost 2 + pending 0",
    ]
