"""Analyses that are slow, that fail and that never end, in an analyzer of its own process."""

import sqlite3
import time
from contextlib import closing

import pytest

from shared.codec import decode_payload
from shared.messages import BatchMetrics
from tests.processes import other_analysis
from tests.processes.scene import Scene, expect_every_batch

pytestmark = pytest.mark.process

DIED = "WorkerDiedError: worker process died"
FAILURES = {
    10: "ValueError: this frame cannot be analyzed",
    20: "MemoryError: ",
    30: f"{DIED} with exit code 3",
    40: f"{DIED} by signal 11",
    50: f"TimeoutError: ran for more than {other_analysis.FRAME_TIMEOUT_S} s",
}
HANGS = 50
LONGEST_LAG_S = 0.5
"""From handing scalars over to their commit; analyses that held them up would make it 1.1 s in the
short run, 5 s in the long one, and more in longer ones."""


def commit_lag_s(scene: Scene) -> float | None:
    """Age of the newest committed scalars; None before the first."""
    query = "SELECT payload FROM records ORDER BY cseq DESC LIMIT 32"
    try:
        with closing(sqlite3.connect(scene.folder / "metrics.sqlite", timeout=30)) as connection:
            payloads = connection.execute(query).fetchall()
    except sqlite3.OperationalError:
        return None  # not there yet, or not made yet
    messages = [decode_payload(payload) for (payload,) in payloads]
    newest_ns = max((m.captured_at_ns for m in messages if isinstance(m, BatchMetrics)), default=0)
    return (time.time_ns() - newest_ns) / 1e9 if newest_ns else None


def watch_commits(scene: Scene, batches: int) -> list[float]:
    """Lags of the commits, looked at until the last batch is handed over."""
    steps, lags = scene.home / "steps", []

    def all_handed_over() -> bool:
        lag_s = commit_lag_s(scene)
        if lag_s is not None:
            lags.append(lag_s)
        return steps.exists() and steps.read_text().startswith(f"{batches} ")

    scene.until(all_handed_over)
    return lags


@pytest.mark.parametrize(
    ("batches", "size", "dropped"),
    [(60, 32, False), pytest.param(300, 512, True, marks=pytest.mark.long)],
)
def test_scalars_do_not_wait_for_a_slow_analysis(
    scene: Scene, batches: int, size: int, dropped: bool
) -> None:
    analyzer = scene.analyzer("--once", analysis=f"{other_analysis.__name__}:sleep_100_ms")
    scene.until_listening(analyzer)
    publisher = scene.publisher(
        batches=batches,
        size=size,
        step_s=0.025,
        queue_mib=16,
        close_timeout=90,
        steps=scene.home / "steps",
    )
    lags = watch_commits(scene, batches)
    analyzed, _ = analyses(scene)
    assert len(analyzed) < batches / 2, "more was to be offered than can be analyzed"
    # The least of the last quarter: noise of the machine makes some longer, never all.
    assert min(lags[-len(lags) // 4 :]) < LONGEST_LAG_S, lags
    outcome = scene.outcome(publisher, deadline_s=120)
    assert analyzer.wait(60) == 0
    expect_every_batch(scene, outcome, batches)
    found = scene.audit()
    assert (outcome["totals"]["train"]["dropped"] > 0) == dropped
    assert found.failures == {}
    assert found.status == "finished"


def test_an_analysis_that_fails_in_any_way_costs_its_own_frames_only(scene: Scene) -> None:
    analyzer = scene.analyzer(
        *("--once", "--workers", "2"), analysis=f"{other_analysis.__name__}:fail_in_every_way"
    )
    connected = scene.home / "connected"
    publisher = scene.publisher(batches=60, hold=connected, close_timeout=50)
    scene.until_steps(1)
    connected.touch()
    outcome = scene.outcome(publisher, deadline_s=90)
    assert analyzer.wait(30) == 0
    assert outcome["complete"]
    expect_every_batch(scene, outcome, 60)
    expect_named_failures(scene)


def expect_named_failures(scene: Scene) -> None:
    """Each frame says what became of it; state and report count them and tell the last one."""
    order, failed = analyses(scene)
    assert failed == FAILURES
    assert order.index(HANGS + 1) < order.index(HANGS), "the others were to go on meanwhile"
    found = scene.audit()
    assert found.failures == {"analysis": len(FAILURES)}
    assert found.status == "finished"
    report = (scene.folder / "final_summary_report.md").read_text(encoding="utf-8")
    (line,) = [line for line in report.splitlines() if "frames whose analysis failed" in line]
    assert f" {len(FAILURES)} | `rank0: train frame {HANGS}: {FAILURES[HANGS]}`" in line


def analyses(scene: Scene) -> tuple[list[int], dict[int, str]]:
    """Frames in the order in which they were done, and what went wrong with those that failed."""
    with closing(sqlite3.connect(scene.folder / "metrics.sqlite")) as connection:
        rows = connection.execute("SELECT fseq, state, error FROM frames ORDER BY id").fetchall()
    failed = {fseq: error for fseq, state, error in rows if state == "failed"}
    return [fseq for fseq, _, _ in rows], failed
