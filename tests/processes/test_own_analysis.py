"""An own analysis that hangs and dies, in an analyzer of its own process, and in its replay."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.analyzer_service.own.sources import write_source
from tests.processes.commands import run
from tests.processes.scene import Scene, expect_every_batch

pytestmark = pytest.mark.process

BATCHES = 40
BODY = """
        if step == 10: time.sleep(3600)
        if step == 20: os.kill(os.getpid(), signal.SIGKILL)
        if step == 30: raise ValueError("no")
        return {"loss": 2 * batch_metrics["loss"], "darkest": frame.input.min(), "nan": math.nan}
"""
OPTIONS = ("--analyzer", "mine:Mine", "--analyzer-timeout", "5")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.close()


def test_live_and_replay_agree_whatever_an_own_analysis_does(scene: Scene) -> None:
    write_source(scene.home, BODY)
    analyzer = scene.analyzer("--once", "--record", "--workers", "2", *OPTIONS)
    scene.until_listening(analyzer)
    publisher = scene.publisher(batches=BATCHES, close_timeout=90)
    outcome = scene.outcome(publisher, deadline_s=120)
    assert analyzer.wait(60) == 0, scene.said()
    expect_every_batch(scene, outcome, BATCHES)
    rows = rows_of(scene.folder)
    without = [row["global_step"] for row in rows if "own_loss" not in row]
    assert without == [10, 20, 30]
    for row in rows:
        assert row["samples"] == 1, "the built-in analysis is whole"
        if "own_loss" in row:
            assert row["own_loss"] == 2 * row["loss"]
            assert row["own_darkest"] == row["global_step"] % 251
            assert row["own_nan"] is None
    assert scene.audit().failures == {"own_analysis": 3}
    expect_report(scene.folder)
    run("analyzer_service", "verify", scene.folder, cwd=scene.home)
    again = scene.home / "again"
    run(
        *("analyzer_service", "replay", scene.folder / "stream.mcap", *OPTIONS),
        *("--output-dir", again, "--workers", "1"),
        cwd=scene.home,
    )
    name = "final_training_metrics.json"
    replayed = (again / scene.folder.name / name).read_bytes()
    assert replayed == (scene.folder / name).read_bytes()


def expect_report(folder: Path) -> None:
    report = (folder / "final_summary_report.md").read_text("utf-8")
    section = report.partition("## Own analyses\n")[2].partition("\n## ")[0]
    assert "By `mine:Mine` (SHA-256 of its file: `" in section
    (line,) = [line for line in section.splitlines() if "`own_loss`" in line]
    assert line.rstrip(" |").endswith(str(BATCHES - 3))
    said = "3 failed; the last one: `mine:Mine: train batch 30: ValueError: no (mine.py, line 12)`."
    assert said in section


def rows_of(folder: Path) -> list[dict[str, Any]]:
    document = json.loads((folder / "final_training_metrics.json").read_text("utf-8"))
    assert [source["name"] for source in document["metadata"]["own_analyzers"]] == ["mine:Mine"]
    rows: list[dict[str, Any]] = document["batch_metrics"]
    return rows
