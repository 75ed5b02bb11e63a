"""A real trainer and a real analyzer over real sockets, and the replay of what was recorded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.health_file import FILE, parse_lines
from tests.processes.commands import TINY, run

pytestmark = pytest.mark.process

STEPS = 12
FREQ = 5
COMPARED = ("*.png", "epoch_*_metrics.json", "final_training_metrics.json")


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a short recorded run with its own analyzer: ``runs/auto_analysis_tiny``."""
    home = tmp_path_factory.mktemp("live")
    run(
        *("trainer", *TINY, "--max-steps", str(STEPS), "--analysis-freq", str(FREQ)),
        *("--run-name", "tiny", "--output-dir", "runs", "--record", "tiny.mcap"),
        cwd=home,
    )
    return home / "runs" / "auto_analysis_tiny"


def final(folder: Path) -> dict[str, Any]:
    text = (folder / "final_training_metrics.json").read_text(encoding="utf-8")

    def refuse(token: str) -> None:
        raise AssertionError(f"{token} is not JSON")

    document: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return document


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for pattern in COMPARED for path in folder.glob(pattern)}


def test_every_batch_is_there_exactly_once(live: Path) -> None:
    rows = final(live)["batch_metrics"]
    train = [row["global_step"] for row in rows if row["phase"] == "train"]
    val = [row["phase_step"] for row in rows if row["phase"] == "val"]
    assert train == list(range(1, STEPS + 1))
    assert val == list(range(1, len(val) + 1))
    assert len(val) >= 5


def test_the_folder_holds_what_the_guide_promises(live: Path) -> None:
    names = {path.name for path in live.iterdir()}
    expected = {"train_batch_000005.png", "train_batch_000010.png", "val_batch_000001.png"}
    expected |= {"epoch_0_metrics.json", "final_training_metrics.json", "final_summary_report.md"}
    assert expected | {"metrics.sqlite", "frames"} <= names


def test_every_row_has_finite_metrics_of_both_gates(live: Path) -> None:
    frame = pd.DataFrame(final(live)["batch_metrics"])
    for key in ("loss", "mse", "ssim", "training_time_ms", "inference_time_ms", "memory_mb"):
        present = frame[key].notna() | (key == "training_time_ms") & (frame["phase"] == "val")
        assert present.all(), key
    for layer in ("bam_48", "bam_2"):
        entropy = frame[f"attention_{layer}_attention_entropy"]
        assert entropy.between(0, 4.1589).all()
    assert frame["attention_entropy"].notna().all()
    assert frame["activation_encoder_kan_attention_mean"].notna().all()


def test_the_books_balance(live: Path) -> None:
    with RunReader(live) as reader:
        books = reader.books()
        assert reader.state().status == "finished"
    assert sum(book.offered for book in books.values()) > STEPS
    for book in books.values():
        assert book.offered == book.delivered + book.dropped + book.pending
        assert book.pending == 0


def test_the_analyzers_health_is_noted_live_to_the_end(live: Path) -> None:
    last = parse_lines((live / FILE).read_bytes())[-1]
    assert (last["event"], last["status"]) == ("end", "finished")
    assert (last["offered"], last["pending"]) == (last["delivered"] + last["dropped"], 0)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_replay_equals_the_live_run_byte_for_byte(
    live: Path, tmp_path: Path, workers: str
) -> None:
    recording = live.parents[1] / "tiny.mcap"
    run(
        *("analyzer_service", "replay", recording),
        *("--output-dir", "again", "--workers", workers),
        cwd=tmp_path,
    )
    replayed = tmp_path / "again" / "auto_analysis_tiny"
    again = files(replayed)
    original = files(live)
    assert sorted(again) == sorted(original)
    different = [name for name in original if again[name] != original[name]]
    assert different == []
    assert not (replayed / FILE).exists(), "the analyzer's health is no part of the results"


def test_a_truncated_recording_replays_up_to_the_tear(live: Path, tmp_path: Path) -> None:
    recording = tmp_path / "torn.mcap"
    shutil.copy(live.parents[1] / "tiny.mcap", recording)
    with recording.open("r+b") as file:
        file.truncate(recording.stat().st_size // 2)
    done = run(
        *("analyzer_service", "replay", recording, "--output-dir", "again"),
        cwd=tmp_path,
        check=False,
    )
    rows = final(tmp_path / "again" / "auto_analysis_tiny")["batch_metrics"]
    original = final(live)["batch_metrics"]
    assert 0 < len(rows) < len(original)
    analyzed = [row["samples"] > 0 for row in rows]
    # A frame follows its scalars, so the last rows before the tear may lack theirs.
    complete = analyzed.index(False) if False in analyzed else len(rows)
    assert complete > 0
    assert rows[:complete] == original[:complete]
    for row, whole in zip(rows, original, strict=False):
        assert (row["loss"], row["phase_step"]) == (whole["loss"], whole["phase_step"])
    assert "torn.mcap" in done.stdout + done.stderr
    report = (tmp_path / "again" / "auto_analysis_tiny" / "final_summary_report.md").read_text()
    assert "failed" in report


def test_the_same_name_again_is_refused_and_nothing_is_touched(live: Path) -> None:
    before = files(live)
    done = run(
        *("trainer", *TINY, "--max-steps", "2", "--run-name", "tiny", "--output-dir", "runs"),
        cwd=live.parents[1],
        check=False,
    )
    assert done.returncode == 2
    assert len(done.stderr.strip().splitlines()) == 1
    assert "auto_analysis_tiny" in done.stderr
    assert files(live) == before
