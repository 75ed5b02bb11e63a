"""``python -m trainer --devices N``: real ranks, one of which is killed or cut off."""

import json
import re
import shlex
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from shared.codec import decode_payload
from shared.messages import BatchMetrics, RunEnded
from tests.analyzer_service.sinks.wandb_files import column, history
from tests.processes.audit import audit
from tests.processes.commands import TINY, environment, run
from tests.processes.proxy import BOTH, Proxy
from tests.processes.ranked_fit import VARIABLE
from tests.processes.scene import Process, Scene, free_ports

pytestmark = pytest.mark.process

COMPARED = ("*.png", "epoch_*_metrics.json", "final_training_metrics.json")
DEADLINE_S = 150.0
SILENCE_S = 5.0
"""After so long a side takes the other for gone (docs/protocol.md): a step that waited for the
sidecar would take as long."""


@pytest.fixture
def trainers(scene: Scene) -> Iterator[list[Process]]:
    """Trainers that a test started; what is left of their ranks ends with it."""
    started: list[Process] = []
    yield started
    for trainer in started:
        if trainer.poll() is None:
            for rank in ranks_of(trainer).values():
                rank.kill()


def flags(*more: str, ranks: int = 2) -> tuple[str, ...]:
    return (
        *(*TINY, "--devices", str(ranks), "--run-name", "tiny", "--output-dir", "runs"),
        *more,
    )


def ranks_of(trainer: Process) -> dict[int, psutil.Process]:
    """The processes that Lightning started for the further ranks."""
    found = {}
    for child in psutil.Process(trainer.pid).children():
        if set(child.cmdline()) & {"trainer.__main__", "tests.processes.ranked_fit"}:
            found[int(child.environ()["LOCAL_RANK"])] = child
    return found


def folder_of(scene: Scene) -> Path:
    return scene.home / "runs" / "auto_analysis_tiny"


def final(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "final_training_metrics.json").read_text())
    return document


def places(folder: Path, phase: str = "train") -> list[tuple[int, int]]:
    """Step and rank of each row, in their order."""
    rows = final(folder)["rank_metrics"]
    return [(row["phase_step"], row["rank"]) for row in rows if row["phase"] == phase]


def every_place(steps: range, ranks: int) -> list[tuple[int, int]]:
    return [(step, rank) for step in steps for rank in range(ranks)]


def said_by(folder: Path, producer: str) -> list[Any]:
    """Messages of one rank that are committed, released or not."""
    query = (
        "SELECT r.payload FROM records r JOIN producers p ON p.id = r.origin "
        "WHERE p.producer = ? ORDER BY r.cseq"
    )
    try:
        connection = sqlite3.connect(f"file:{folder / 'metrics.sqlite'}?mode=ro", uri=True)
        with closing(connection):
            return [decode_payload(row[0]) for row in connection.execute(query, (producer,))]
    except sqlite3.OperationalError:
        return []  # not there yet


def steps_said(folder: Path, producer: str) -> list[BatchMetrics]:
    """Its training batches."""
    said = [each for each in said_by(folder, producer) if isinstance(each, BatchMetrics)]
    return [each for each in said if each.phase == "train"]


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for pattern in COMPARED for path in folder.glob(pattern)}


def expect_one_run(folder: Path, *, steps: int, ranks: int) -> None:
    """Each rank's batches have come once, step by step; all books balance; it is finished."""
    found = audit(folder)
    found.expect_no_gap()
    assert found.failures == {}
    assert found.status == "finished"
    assert {producer for producer, _ in found.missing_records} == {f"rank{i}" for i in range(ranks)}
    assert len({incarnation for _, incarnation in found.missing_records}) == 1
    assert places(folder) == every_place(range(1, steps + 1), ranks)
    validated = places(folder, "val")
    assert validated == every_place(range(1, len(validated) // ranks + 1), ranks)
    assert len(validated) >= 5 * ranks


def test_two_ranks_are_one_run_and_their_recordings_give_the_same_again(scene: Scene) -> None:
    recorded = ("--record", "tiny.mcap", "--max-steps", "8", "--analysis-freq", "5")
    done = run("trainer", *flags(*recorded, "--wandb", "offline"), cwd=scene.home)
    folder = folder_of(scene)
    expect_one_run(folder, steps=8, ranks=2)
    document = final(folder)
    assert {row["rank"] for row in document["rank_metrics"] if row["samples"]} == {0}
    facts = document["metadata"]["config"]
    shown = sum(row["batch_size"] for row in document["batch_metrics"] if row["phase"] == "val")
    assert shown == len({row["epoch"] for row in document["batch_metrics"]}) * facts["val_tiles"]
    means = [step["loss"] for step in document["batch_metrics"]]
    rows = [[row for row in document["rank_metrics"] if row["rank"] == r] for r in (0, 1)]
    own = [(first["loss"], second["loss"]) for first, second in zip(*rows, strict=True)]
    assert all(first != second for first, second in own), "each rank has tiles of its own"
    expected = [
        np.average([each["loss"] for each in step], weights=[each["batch_size"] for each in step])
        for step in zip(*rows, strict=True)
    ]
    assert means == pytest.approx(expected, rel=1e-12)
    (directory,) = (folder / "wandb").glob("offline-run-*")
    logged = history(directory)
    for rank in (0, 1):
        assert len(column(logged, f"train/rank_{rank}/loss")) == 8
    assert column(logged, "train/loss") == pytest.approx(means[:8])
    said = re.search(r"Replay +(.*)", done.stdout)
    assert said is not None
    again = shlex.split(said.group(1))
    assert again[-4:] == ["tiny.mcap", "tiny.rank1.mcap", "--output-dir", "replayed"]
    subprocess.run(again, cwd=scene.home, env=environment(), check=True, capture_output=True)
    replayed = files(scene.home / "replayed" / folder.name)
    original = files(folder)
    assert sorted(replayed) == sorted(original)
    assert [name for name in original if replayed[name] != original[name]] == []


@pytest.mark.long
def test_four_ranks_that_all_show_frames_go_on_after_a_resume(scene: Scene) -> None:
    more = ("--frames-from", "all", "--wandb", "disabled")
    run("trainer", *flags(*more, "--max-steps", "4", ranks=4), cwd=scene.home)
    folder = folder_of(scene)
    expect_one_run(folder, steps=4, ranks=4)
    assert {row["rank"] for row in final(folder)["rank_metrics"] if row["samples"]} == {0, 1, 2, 3}
    last = str(scene.home / "runs" / "training_tiny" / "checkpoints" / "last.ckpt")
    run("trainer", *flags(*more, "--max-steps", "7", "--resume", last, ranks=4), cwd=scene.home)
    found = audit(folder)
    found.expect_no_gap()
    starts = {producer: set() for producer, _ in found.missing_records}
    for producer, incarnation in found.missing_records:
        starts[producer].add(incarnation)
    assert len(starts) == 4
    assert len(set(map(frozenset, starts.values()))) == 1, "all ranks are of the same two starts"
    assert places(folder) == every_place(range(1, 8), 4)


@pytest.mark.long
@pytest.mark.parametrize("killed", [0, 1])
def test_a_rank_that_is_killed_ends_the_run_as_failed_and_the_others_rows_are_kept(
    scene: Scene, trainers: list[Process], killed: int
) -> None:
    trainer = scene.start("trainer", *flags("--wandb", "disabled", "--epochs", "50"))
    trainers.append(trainer)
    folder = folder_of(scene)
    scene.until(lambda: len(steps_said(folder, "rank1")) >= 10, deadline_s=DEADLINE_S)
    scene.until(lambda: len(steps_said(folder, "rank0")) >= 10, deadline_s=DEADLINE_S)
    rank1 = ranks_of(trainer)[1]
    seen = {name: len(steps_said(folder, name)) for name in ("rank0", "rank1")}
    (trainer if killed == 0 else rank1).kill()
    assert trainer.wait(DEADLINE_S) != 0
    scene.until((folder / "final_summary_report.md").exists, deadline_s=DEADLINE_S)
    scene.until(lambda: not rank1.is_running(), deadline_s=DEADLINE_S)
    found = audit(folder)
    assert found.status == "failed"
    assert "failed" in (folder / "final_summary_report.md").read_text(encoding="utf-8")
    rows = places(folder)
    for rank, name in enumerate(seen):
        steps = [step for step, of in rows if of == rank]
        assert steps == list(range(1, len(steps) + 1))
        assert len(steps) >= seen[name]
    assert rows == sorted(rows)


@pytest.mark.long
def test_a_trainer_that_is_told_to_end_ends_all_of_its_ranks_in_order(
    scene: Scene, trainers: list[Process]
) -> None:
    trainer = scene.start("trainer", *flags("--wandb", "disabled", "--epochs", "50"))
    trainers.append(trainer)
    folder = folder_of(scene)
    for name in ("rank0", "rank1"):
        scene.until(lambda name=name: len(steps_said(folder, name)) >= 5, deadline_s=DEADLINE_S)
    rank1 = ranks_of(trainer)[1]
    trainer.terminate()
    assert trainer.wait(DEADLINE_S) == 128 + signal.SIGTERM
    scene.until(lambda: not rank1.is_running(), deadline_s=DEADLINE_S)
    found = audit(folder)
    found.expect_no_gap()
    assert found.status == "interrupted"
    for name in ("rank0", "rank1"):
        (end,) = (each for each in said_by(folder, name) if isinstance(each, RunEnded))
        assert end.status == "interrupted"


@pytest.mark.long
def test_a_rank_whose_sidecar_is_cut_off_holds_no_other_rank_up(
    scene: Scene, trainers: list[Process]
) -> None:
    """All ranks train to their end while nothing of rank 1 reaches the analyzer."""
    steps = 40
    port = int(scene.endpoint.rpartition(":")[2])
    near = free_ports()
    proxies = [Proxy(near + i, port + i) for i in range(2)]
    analyzer = scene.analyzer("--once")
    trainer = scene.start(
        "tests.processes.ranked_fit",
        *flags("--max-steps", str(steps), "--sidecar", scene.endpoint, "--drain-timeout", "60"),
        variables={VARIABLE: str(near)},
    )
    trainers.append(trainer)
    folder = folder_of(scene)
    try:
        scene.until(lambda: len(steps_said(folder, "rank1")) >= 3, deadline_s=DEADLINE_S)
        for proxy in proxies:
            proxy.stall(*BOTH)
        ended = lambda: any(isinstance(m, RunEnded) for m in said_by(folder, "rank0"))  # noqa: E731
        scene.until(ended, deadline_s=DEADLINE_S)
        cut_off = len(steps_said(folder, "rank1"))
        for proxy in proxies:
            proxy.heal()
        assert trainer.wait(DEADLINE_S) == 0, scene.said()
        assert analyzer.wait(DEADLINE_S) == 0, scene.said()
    finally:
        for proxy in proxies:
            proxy.close()
    assert cut_off < steps, "it was cut off in time"
    expect_one_run(folder, steps=steps, ranks=2)
    longest_ms = max(step.training_time_ms or 0.0 for step in steps_said(folder, "rank0"))
    assert longest_ms < 1000 * SILENCE_S / 2
