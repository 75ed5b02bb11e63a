"""The verdict: nothing where all is well, and each thing that can be wrong by itself."""

from typing import Any

import pytest

from analyzer_service.page.health.verdict import Facts, findings

NOW = 1_760_000_100.0
WELL: dict[str, Any] = {
    "at": NOW - 1,
    "still_s": 0.1,
    "store_failing": False,
    "free_bytes": 100 << 30,
    "work_lag_s": 0.5,
    "ingest_lag_s": 0.02,
    "connected": 1,
    "heard_at": NOW - 1,
    "workers": {"size": 2, "processes": 2, "busy": 1, "calls": 1, "lost": 0},
    "wandb": {"state": "offline", "rows": 10, "images": 1},
    "alerts": {},
    "waits_for": {"rank1": 0.2},
}
FRAMES = {"offered": 100, "delivered": 98, "dropped": 2, "pending": 0, "balances": True}
RECORDS = {"lost": 0, "balances": True}


def facts(**overrides: Any) -> Facts:
    fields: dict[str, Any] = {
        "status": "running",
        "now": NOW,
        "line": WELL,
        "frames": [FRAMES],
        "records": [RECORDS],
    }
    return Facts(**(fields | overrides))


def test_a_run_that_goes_well_has_nothing_to_say() -> None:
    assert findings(facts()) == []
    assert findings(facts(status="finished", line={})) == []
    assert findings(facts(frames=[FRAMES | {"offered": 12, "dropped": 6}])) == []
    assert findings(facts(records=[RECORDS | {"lost": None, "balances": None}])) == []


@pytest.mark.parametrize(
    ("line", "level", "said"),
    [
        ({"still_s": 7.2}, "bad", "stood still for 7 s"),
        ({"store_failing": True}, "bad", "Results cannot be written"),
        ({"free_bytes": 1 << 30}, "warn", "Only 1,024 MiB are free"),
        ({"free_bytes": 0}, "bad", "Only 0 MiB are free"),
        ({"work_lag_s": 150.0}, "warn", "Frames wait for 2 min"),
        ({"ingest_lag_s": 30.0}, "warn", "arrive 30 s after"),
        ({"connected": 0, "heard_at": NOW - 40}, "warn", "No trainer has been heard for 40 s"),
        ({"connected": 0, "heard_at": None}, "warn", "No trainer has been heard."),
        ({"heard_at": NOW - 20}, "warn", "last heard 20 s ago"),
        ({"waits_for": {"rank1": 12.2, "rank2": 0.3}}, "warn", "Results wait for rank1 (12 s)."),
        ({"workers": {"lost": 3}}, "warn", "3 worker processes were lost"),
        ({"wandb": {"state": "given_up"}}, "warn", "W&B fails"),
        ({"workers": {"cluster_lost": True, "cluster_slots": 0}}, "warn", "The cluster is lost"),
        ({"workers": {"cluster_lost": False, "cluster_slots": 0}}, "warn", "has no worker that"),
        ({"alerts": {"stalled": 1}}, "warn", "says nothing"),
    ],
)
def test_each_thing_that_is_wrong_is_said_alone(
    line: dict[str, Any], level: str, said: str
) -> None:
    (finding,) = findings(facts(line=WELL | line))
    assert finding.level == level
    assert said in finding.what
    assert finding.todo


@pytest.mark.parametrize(
    ("overrides", "level", "said"),
    [
        ({"status": "failed", "reason": "CUDA ran out", "line": {}}, "bad", "failed: CUDA ran out"),
        ({"status": "interrupted", "line": {}}, "warn", "interrupted."),
        ({"silent_s": 600.0, "line": {}}, "bad", "for 10 min"),
        ({"frames": [FRAMES | {"balances": False}]}, "bad", "do not balance"),
        ({"records": [RECORDS | {"balances": False}]}, "bad", "do not balance"),
        ({"records": [RECORDS | {"lost": 4}]}, "bad", "could not keep 4 records"),
        ({"frames": [FRAMES | {"offered": 400, "dropped": 40}]}, "warn", "40 of 400 frames"),
        (
            {"failures": [{"error": False, "count": 2, "words": "frames failed", "last": "x"}]},
            "warn",
            "2 frames failed",
        ),
        (
            {"failures": [{"error": True, "count": 1, "words": "gaps: an error", "last": "x"}]},
            "bad",
            "1 gaps",
        ),
        ({"alerts": [{"title": "loss rising"}]}, "warn", "An alert of the training goes on: loss"),
        (
            {"alerts": [{"title": f"t{i}"} for i in range(5)]},
            "warn",
            "5 alerts of the training go on: t0, t1, t2 and 2 more",
        ),
    ],
)
def test_each_fact_of_the_run_is_said_alone(
    overrides: dict[str, Any], level: str, said: str
) -> None:
    (finding,) = findings(facts(**overrides))
    assert finding.level == level
    assert said in finding.what
    assert finding.todo


def test_what_it_is_about_is_told() -> None:
    wrong = WELL | {"free_bytes": 0, "workers": {"lost": 1}, "ingest_lag_s": 11.0, "connected": 0}
    about = {finding.part for finding in findings(facts(line=wrong, alerts=[{"title": "x"}]))}
    assert about == {"disk", "workers", "lag", "trainer", "alerts"}


def test_the_worst_comes_first() -> None:
    found = findings(facts(line=WELL | {"work_lag_s": 100.0, "store_failing": True}))
    assert [finding.level for finding in found] == ["bad", "warn"]


@pytest.mark.parametrize("value", [None, "x", [], {}, {"lost": "many"}, float("nan")])
def test_a_line_of_anything_is_no_trouble(value: Any) -> None:
    assert findings(facts(status="finished", line=dict.fromkeys(WELL, value))) == []
    findings(facts(line=dict.fromkeys(WELL, value)))
