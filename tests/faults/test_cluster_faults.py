"""SIGTERM while chunks are at a cluster: the analyzer ends in time, and nothing is lost by it."""

import signal
import time

import pytest

from tests.analyzer_service.cluster.own_cluster import cluster_process
from tests.processes.scene import Scene, expect_every_batch

pytestmark = [pytest.mark.process, pytest.mark.long]

GRACE_S = 10.0
"""`ServeSettings.grace_s`; the container and the manifest give 30 s."""


@pytest.mark.parametrize("hung", [False, True])
def test_an_analyzer_leaves_a_cluster_within_its_grace_period(scene: Scene, hung: bool) -> None:
    with cluster_process(scene.home) as (address, dask):
        analyzer = scene.analyzer("--cluster", address, "--metrics", "off")
        scene.until_listening(analyzer)
        release = scene.home / "release"
        publisher = scene.publisher(batches=300, step_s=0.01, hold=release, close_timeout=30)
        scene.until_steps(20)
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
        assert again.wait(60) == 0, scene.said()
        expect_every_batch(scene, outcome, 300)
