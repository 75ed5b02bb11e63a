"""A soak: both sides hold no more at its end than after its warm-up.

A minute in `make faults`, ten in `make soak`; ``SOAK_S`` says how long. Measured in ten minutes on
two shared cores (benchmarks/results/): 120,208 batches, all there; 71,737 of their frames analyzed
and 48,471 dropped and named; the trainer grew by 0.07 MiB a minute, the analyzer by 0.20.
"""

import os
from collections.abc import Iterator

import pytest

from tests.processes import other_analysis
from tests.processes.scene import Process, Scene, expect_every_batch, family
from tests.processes.scraping import port_of, scrape
from tests.processes.soaking import Growth, Shot, growth, table, watch

pytestmark = [pytest.mark.process, pytest.mark.long]

SOAK_S = float(os.environ.get("SOAK_S", "60"))
BATCHES_PER_S = 200
DASHBOARD_S = 5
# 24 KiB a frame: on a quiet machine one worker just keeps up. On a busy one frames wait, and would
# look like a leak until bounds as wide as the default ones are full; these are within seconds.
TRAINER: dict[str, object] = {"size": 64, "capture_mib": 4, "queue_mib": 8, "unacked_mib": 4}
ALLOWANCE_MIB = {"trainer": 6.0, "analyzer": 6.0, "workers": 16.0}
"""What the allocator keeps after a commit, a backlog or a drawing larger than those before.

In ten minutes: steps of 3 MiB in the analyzer; a worker goes to and fro by 13 MiB, as the pages of
the latest drawing are kept or not.
"""
LEAK_MIB_PER_MINUTE = 0.5
"""At 12,000 batches a minute: 44 bytes a batch."""
OPENED_ONCE = {("trainer", "files"): 1}
"""The journal, opened when it is first needed: seen after 6 s of one soak, 36 of another."""
WAL_MIB = 16.0
"""SQLite starts it over at 4 MiB, but not beneath a dashboard that is reading."""


@pytest.mark.timeout(SOAK_S + 240)
def test_a_soak_leaves_nothing_behind(scene: Scene) -> None:
    analysis = f"{other_analysis.__name__}:count_figures"
    analyzer = scene.analyzer("--metrics", "127.0.0.1:0", analysis=analysis)
    scene.until(lambda: port_of(scene.log_of(analyzer)))
    enough = scene.home / "enough"
    publisher = scene.publisher(
        batches=10**9,
        until=enough,
        step_s=1 / BATCHES_PER_S,
        analysis_freq=BATCHES_PER_S * DASHBOARD_S,
        close_timeout=60,
        **TRAINER,
    )
    shots = list(soak(scene, analyzer, publisher))
    enough.touch()
    outcome = scene.outcome(publisher)
    scene.until((scene.folder / "final_summary_report.md").exists, deadline_s=120)
    figures = [int(count) for count in (scene.home / "figures.txt").read_text().split()]
    print(f"\n{table(shots)}\n\n{judged(shots)}\n")
    print(f"figures alive: {max(figures)} at most, in {len(figures)} looks")
    print(f"frames: {outcome['totals']['train']}")
    print(f"hand-over: {outcome['handoff']}")
    assert outcome["batches"] > 0.95 * SOAK_S * BATCHES_PER_S
    expect_every_batch(scene, outcome, outcome["batches"])
    drawn = len(list(scene.folder.glob("train_batch_*.png")))
    assert drawn == outcome["batches"] // (BATCHES_PER_S * DASHBOARD_S)
    expect_no_growth(shots)
    assert max(figures) == 0, "a figure outlived its drawing"


def expect_no_growth(shots: list[Shot]) -> None:
    """Neither side holds more after the warm-up's end than a short time after it."""
    for name in shots[0].holdings:
        memory = series(shots, name, "resident_mib")
        assert memory.late - memory.early < allowed_mib(name, memory), f"{name}: {memory}"
        for what in ("files", "threads", "processes"):
            count = series(shots, name, what)
            # One that comes and goes may be there at any time; one that stays raises the least.
            most = count.early_least + OPENED_ONCE.get((name, what), 0)
            assert count.late_least <= most, f"{what} of {name}: {count}"
    assert max(shot.wal_mib for shot in shots) < WAL_MIB


def allowed_mib(name: str, memory: Growth) -> float:
    return ALLOWANCE_MIB[name] + LEAK_MIB_PER_MINUTE * memory.minutes


def judged(shots: list[Shot]) -> str:
    """Memory of each side early and late after the warm-up, and what was allowed."""
    lines = []
    for name in shots[0].holdings:
        memory = series(shots, name, "resident_mib")
        allowed = allowed_mib(name, memory)
        lines.append(
            f"{name:>9}: {memory.early:6.1f} -> {memory.late:6.1f} MiB in {memory.minutes:.1f} min"
            f" ({memory.per_minute:+.2f} a minute; allowed: {allowed:+.1f} in all)"
        )
    return "\n".join(lines)


def soak(scene: Scene, analyzer: Process, publisher: Process) -> Iterator[Shot]:
    """Look at both sides each second, and scrape the metrics as Prometheus would."""
    port = port_of(scene.log_of(analyzer))
    assert port is not None
    scene.until(scene.folder.exists)
    groups = {
        "trainer": lambda: family(publisher),
        "analyzer": lambda: [analyzer.pid],
        "workers": lambda: family(analyzer)[1:],
    }
    for shot in watch(groups, scene.folder / "metrics.sqlite-wal", for_s=SOAK_S):
        assert publisher.poll() is None, scene.said()
        scrape(port)
        yield shot


def series(shots: list[Shot], name: str, what: str) -> Growth:
    return growth(
        [shot.at_s for shot in shots], [getattr(shot.holdings[name], what) for shot in shots]
    )
