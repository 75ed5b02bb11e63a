"""Networks that swallow, stall and cut, with real processes over real sockets."""

import pytest

from tests.processes.proxy import Proxy
from tests.processes.scene import Scene, expect_everything, free_ports

pytestmark = pytest.mark.process


def test_frames_lost_in_a_broken_connection_arrive_all_the_same(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    behind = int(scene.endpoint.rpartition(":")[2])
    front = free_ports()
    ctl, bulk = Proxy(front, behind), Proxy(front + 1, behind + 1)
    scene.endpoint = f"tcp://127.0.0.1:{front}"
    publisher = scene.publisher(batches=300, step_s=0.005)
    scene.until_steps(50)
    bulk.swallow = True
    scene.until(lambda: bulk.swallowed > 20_000)
    bulk.cut()
    bulk.swallow = False
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 300)
    ctl.close()
    bulk.close()
