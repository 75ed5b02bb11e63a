"""SIGTERM while chunks are at a cluster: the analyzer ends in time, and nothing is lost by it."""

import signal
import time

import pytest

from tests.analyzer_service.cluster.own_cluster import cluster_process
from tests.processes.scene import Scene

pytestmark = [pytest.mark.process, pytest.mark.long]

BATCHES = 120
GRACE_S = 10.0
"""`ServeSettings.grace_s`; the container and the manifest give 30 s."""


@pytest.mark.parametrize("hung", [False, True])
def test_an_analyzer_leaves_a_cluster_within_its_grace_period(scene: Scene, hung: bool) -> None:
    with cluster_process(scene.home) as (address, dask):
        analyzer = scene.analyzer("--cluster", address, "--metrics", "off")
        scene.until_listening(analyzer)
        release = scene.home / "release"
        publisher = scene.publisher(batches=BATCHES, step_s=0.01, hold=release, close_timeout=30)
        scene.until_steps(10)
        if hung:
            dask.send_signal(signal.SIGSTOP)
        analyzer.terminate()
        began = time.monotonic()
        assert analyzer.wait(60) == 0, scene.said()
        assert time.monotonic() - began < GRACE_S + 8.0, scene.said()
        dask.send_signal(signal.SIGCONT)
        again = scene.analyzer("--once", "--cluster", address)
        release.touch()
        outcome = scene.outcome(publisher)
        assert again.wait(150) == 0, scene.said()
    found = scene.audit()
    found.expect_once(BATCHES)
    found.expect_no_gap()
    # Each is accounted for; one that the publisher gave up for lost may have come all the same.
    frames, delivered, dropped = found.frame_count
    assert frames == delivered + dropped == BATCHES
    assert outcome["records_lost"] == 0
