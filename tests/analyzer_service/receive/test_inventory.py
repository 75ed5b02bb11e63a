"""Which recordings are replayed together."""

from pathlib import Path

from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.replaying import RUNS_AT_ONCE, ReplaySettings, replay_files
from shared.recording import Recorded
from tests.analyzer_service.pipeline.driving import make_said
from tests.analyzer_service.receive.recorded import items_of, write


def run_items(name: str) -> list[Recorded]:
    return items_of(make_said(epochs=1, run_id=f"id-{name}", run_name=name))[:2]


def make_files(folder: Path, *, names: str) -> list[Path]:
    """A file for each word, with a run for each of its letters."""
    return [
        write(folder / f"{i}-{word}.mcap", [item for name in word for item in run_items(name)])
        for i, word in enumerate(names.split())
    ]


def test_parts_have_few_runs_and_all_files_of_each(tmp_path: Path) -> None:
    whole = Inventory(make_files(tmp_path, names="a b c ad e b"))
    parts = whole.split(2)
    assert [sorted(part.runs) for part in parts] == [["id-a", "id-d"], ["id-b", "id-c"], ["id-e"]]
    assert sum(part.items for part in parts) == whole.items == 14
    assert [len(list(part)) for part in parts] == [part.items for part in parts]


def test_runs_that_share_files_stay_together(tmp_path: Path) -> None:
    whole = Inventory(make_files(tmp_path, names="ab cd bc e"))
    assert [sorted(part.runs) for part in whole.split(1)] == [
        ["id-a", "id-b", "id-c", "id-d"],
        ["id-e"],
    ]


def test_more_runs_than_are_open_at_once_are_all_replayed(tmp_path: Path) -> None:
    names = "abcdefghijkl"[: RUNS_AT_ONCE + 2]
    files = [write(tmp_path / f"{name}.mcap", run_items(name)) for name in names]
    said = replay_files(files, ReplaySettings(tmp_path / "out"))
    assert sum(line.startswith("Run folder") for line in said) == len(names)
    for name in names:
        assert (tmp_path / "out" / f"auto_analysis_{name}" / "final_summary_report.md").exists()
