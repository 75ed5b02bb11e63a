"""Messages that come twice, late, in another order or never, in both directions.

TCP does none of this, but connections that break and are mended do: what was in them is lost,
and what was not confirmed comes again.
"""

from typing import Final

import pytest

from tests.processes.meddler import Fate, Key, Meddler, Plan
from tests.processes.scene import Scene, expect_everything, free_ports

pytestmark = pytest.mark.process

TOWARD_ANALYZER = ("hello", "record", "attach", "frame", "heartbeat", "fin")
TOWARD_TRAINER = ("welcome", "ack", "credit", "heartbeat", "finack")
KINDS: Final[tuple[Key, ...]] = (
    *(("in", kind) for kind in TOWARD_ANALYZER),
    *(("out", kind) for kind in TOWARD_TRAINER),
)
FREQUENT: Final[tuple[Key, ...]] = (("in", "record"), ("in", "frame"))
RARE: Final[tuple[Key, ...]] = (
    *(("in", kind) for kind in ("hello", "attach", "fin")),
    ("out", "welcome"),
)
FATES: Final[tuple[Fate, ...]] = ("dropped", "doubled", "delayed")


def run_through(scene: Scene, plan: Plan, *, batches: int = 150, seed: int = 1) -> Meddler:
    """Publish a run through a meddler; everything arrives once, its end included."""
    analyzer = scene.analyzer()  # with --once it would leave after a FinAck that never arrives
    scene.until_listening(analyzer)
    front = free_ports()
    meddler = Meddler(front, int(scene.endpoint.rpartition(":")[2]), plan, seed=seed)
    scene.endpoint = f"tcp://127.0.0.1:{front}"
    try:
        release = scene.home / "release"
        publisher = scene.publisher(batches=batches, step_s=0.01, close_timeout=150, hold=release)
        scene.until_steps(1)  # closing would not wait for an analyzer that never answered
        release.touch()
        outcome = scene.outcome(publisher, deadline_s=180)
        scene.end(analyzer)
    finally:
        meddler.close()
    expect_everything(scene, outcome, batches)
    # The goodbye is awaited as long as it takes, and no longer: not until `close_timeout`.
    assert outcome["close_s"] < 100
    return meddler


def test_every_acknowledgment_of_a_commit_is_lost(scene: Scene) -> None:
    # The first Hello, too, so that all five batches go in one breath: two commits at most.
    lost: dict[Key, int] = {("in", "hello"): 1, ("out", "ack"): 3}
    meddler = run_through(scene, Plan(drop_first=lost), batches=5)
    assert all(meddler.fates[*key, "dropped"] for key in lost)


@pytest.mark.long
def test_the_first_message_of_each_kind_is_lost(scene: Scene) -> None:
    meddler = run_through(scene, Plan(drop_first=dict.fromkeys(KINDS, 1)))
    assert [meddler.fates[*key, "dropped"] for key in KINDS] == [1] * len(KINDS)


def test_every_message_comes_twice(scene: Scene) -> None:
    meddler = run_through(scene, Plan(double=1.0))
    assert all(meddler.fates[*key, "doubled"] for key in KINDS)
    assert not any(meddler.fates[*key, "passed"] for key in KINDS)


@pytest.mark.parametrize(
    ("seed", "share", "batches"),
    [
        (1, 0.02, 100),
        *(pytest.param(seed, 0.04, 400, marks=pytest.mark.long) for seed in (2, 3, 4)),
    ],
)
def test_messages_come_twice_late_swapped_or_never(
    scene: Scene, seed: int, share: float, batches: int
) -> None:
    # What is said once or twice in a run would rarely be drawn; the last word may never be said.
    rare = dict.fromkeys(RARE, 1)
    plan = Plan(drop=share, double=5 * share, delay=share, drop_first=rare)
    meddler = run_through(scene, plan, batches=batches, seed=seed)
    print({fate: meddler.met(fate) for fate in FATES})
    assert all(meddler.fates[*key, "dropped"] for key in rare)
    assert all(meddler.fates[*key, fate] for key in FREQUENT for fate in FATES)
