"""A soak: both sides hold no more at its end than after its warm-up.

A minute in `make faults`, ten in `make soak`; ``SOAK_S`` says how long.
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
# 24 KiB a frame, more than one worker can analyze: what waits for it fills these bounds, and
# the 64 MiB of the analyzer's credit, during the warm-up.
TRAINER: dict[str, object] = {"size": 64, "capture_mib": 4, "queue_mib": 8, "unacked_mib": 4}


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
    scene.until((scene.folder / "final_summary_report.md").exists)
    print(table(shots))
    for name in shots[0].holdings:
        for what in ("resident_mib", "files", "threads", "processes"):
            print(name, what, series(shots, name, what))
    print(outcome["totals"], outcome["handoff"])
    print((scene.home / "figures.txt").read_text().split())
    print(len(list(scene.folder.glob("train_batch_*.png"))))
    expect_every_batch(scene, outcome, outcome["batches"])


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
