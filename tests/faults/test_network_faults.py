"""Networks that swallow, stall, delay and cut, with real processes over real sockets.

What a stalled connection meets: TCP keep-alive is content (the proxy's system answers it), and
there are no ZMTP heartbeats. Silence on ctl for 5 s makes the trainer connect anew; frames that
nobody has confirmed for 5 s get a new bulk connection. The old ones are healed, too, and deliver
late what they held.
"""

import random
import time
from collections.abc import Iterator
from typing import Any

import pytest

from shared.protocol import SILENCE_LIMIT_S
from tests.processes.audit import latest_committed
from tests.processes.proxy import BOTH, Proxy, Way
from tests.processes.scene import (
    Process,
    Scene,
    expect_everything,
    free_ports,
)

pytestmark = pytest.mark.process
long = pytest.mark.long

STEP_S = 0.025
SLOW_BYTES_PER_S = 200_000
PRODUCER_TIMEOUT_S = 30
"""After so much silence a producer is lost (``serve --producer-timeout``)."""


class Network:
    """A run that is published through a proxy for `ctl` and one for `bulk`."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.analyzer = scene.analyzer()
        scene.until_listening(self.analyzer)
        behind = int(scene.endpoint.rpartition(":")[2])
        front = free_ports()
        self.ctl, self.bulk = Proxy(front, behind), Proxy(front + 1, behind + 1)
        scene.endpoint = f"tcp://127.0.0.1:{front}"
        self._enough = scene.home / "enough"

    @property
    def lines(self) -> dict[str, list[Proxy]]:
        """Proxies by what a test calls them."""
        return {"ctl": [self.ctl], "bulk": [self.bulk], "both": [self.ctl, self.bulk]}

    def publish(self, **options: object) -> Process:
        """Publish until `stop`, and wait until some of it has arrived."""
        given = {"step_s": STEP_S, "close_timeout": 30, "batches": 100_000, **options}
        publisher = self.scene.publisher(until=self._enough, **given)
        self.go_on()
        return publisher

    def go_on(self, least: int = 40) -> None:
        """Wait until so many further batches are committed."""
        folder = self.scene.folder
        goal = latest_committed(folder)[0] + least
        self.scene.until(lambda: latest_committed(folder)[0] >= goal)

    def stop(self) -> None:
        """Let the publisher publish no more and close."""
        self._enough.touch()

    def finish(self, publisher: Process) -> dict[str, Any]:
        """Let the publisher end, then the analyzer; the outcome of the former."""
        self.stop()
        outcome = self.scene.outcome(publisher)
        self.scene.end(self.analyzer)
        return outcome

    def expect_everything(self, outcome: dict[str, Any]) -> None:
        """Each batch that was handed over arrived once, with its frame."""
        expect_everything(self.scene, outcome, outcome["batches"])

    def close(self) -> None:
        """Close both proxies."""
        for proxy in self.lines["both"]:
            proxy.close()


@pytest.fixture
def network(scene: Scene) -> Iterator[Network]:
    made = Network(scene)
    yield made
    made.close()


def test_frames_lost_in_a_broken_connection_arrive_all_the_same(network: Network) -> None:
    publisher = network.publish()
    network.bulk.swallow = True
    network.scene.until(lambda: network.bulk.swallowed > 20_000)
    network.bulk.cut()
    network.bulk.swallow = False
    network.expect_everything(network.finish(publisher))


STALLS = [
    pytest.param(line, ways, stalled_s, id=f"{line}-{'-'.join(ways)}-{stalled_s}")
    for stalled_s in (8, 17)
    for line, ways in (
        ("both", BOTH),
        ("ctl", BOTH),
        ("ctl", ("in",)),
        ("ctl", ("out",)),
        ("bulk", BOTH),
        ("bulk", ("in",)),
    )
]


@long
@pytest.mark.parametrize(("line", "ways", "stalled_s"), STALLS)
def test_a_network_that_stalls_and_heals_loses_and_doubles_nothing(
    network: Network, line: str, ways: tuple[Way, ...], stalled_s: float
) -> None:
    publisher = network.publish()
    before = {proxy: proxy.connections for proxy in network.lines[line]}
    for proxy in before:
        proxy.stall(*ways)
    time.sleep(stalled_s)  # what is tested: so long
    renewed = [proxy.connections > count for proxy, count in before.items()]
    for proxy in before:
        proxy.heal()
    network.go_on()
    outcome = network.finish(publisher)
    network.expect_everything(outcome)
    # Silence toward the analyzer is noticed there first, 5 s before its silence is here.
    limit_s = (2 if (line, ways) == ("ctl", ("in",)) else 1) * SILENCE_LIMIT_S
    if stalled_s >= limit_s + 2:
        assert all(renewed), "new connections are tried after so long"
    if stalled_s > limit_s + 2 and "in" in ways:
        late = [proxy.late_bytes for proxy in before]
        assert min(late) > 500, "what the old connections held came late, too"


@long
def test_a_trainer_that_was_given_up_comes_back(network: Network) -> None:
    publisher = network.publish()
    for proxy in network.lines["both"]:
        proxy.stall(*BOTH)
    network.scene.until(lambda: "rank0 is lost" in network.scene.said())
    network.scene.until((network.scene.folder / "final_summary_report.md").exists)
    assert network.scene.audit().status == "failed"
    for proxy in network.lines["both"]:
        proxy.heal()
    network.go_on()
    outcome = network.finish(publisher)
    network.expect_everything(outcome)
    assert outcome["batches"] > PRODUCER_TIMEOUT_S / STEP_S


@pytest.mark.parametrize(
    ("seed", "lasting_s"),
    [(1, 4), pytest.param(2, 30, marks=long), pytest.param(3, 30, marks=long)],
)
def test_connections_cut_at_random(network: Network, seed: int, lasting_s: float) -> None:
    generator = random.Random(seed)
    for proxy in network.lines["both"]:
        proxy.latency_s = 0.1  # so much is on its way at any time, and lost with the connection
    publisher = network.publish()
    cuts, until_s = 0, time.monotonic() + lasting_s
    while time.monotonic() < until_s:
        time.sleep(generator.uniform(0.5, 2.0))  # what is tested: cut after so long
        for proxy in network.lines[generator.choice(["ctl", "bulk", "both"])]:
            proxy.cut()
        cuts += 1
    # Sooner than the silence limit, which would heal much else.
    network.scene.until(lambda: lag_s(network.scene) < 1.0, deadline_s=SILENCE_LIMIT_S - 0.5)
    network.stop()
    time.sleep(generator.uniform(0.0, 0.1))  # while it closes, too
    for proxy in network.lines["both"]:
        proxy.cut()
    network.expect_everything(network.finish(publisher))
    assert cuts > lasting_s / 2.5
    assert network.ctl.connections + network.bulk.connections > 2 + cuts


@long
def test_latency_delays_and_loses_nothing(network: Network) -> None:
    for proxy in network.lines["both"]:
        proxy.latency_s = 0.4
    publisher = network.publish()
    lags = [lag_s(network.scene) for _ in watch(network.scene, 2.0)]
    network.expect_everything(network.finish(publisher))
    assert min(lags) > 0.4
    assert max(lags) < 3.0


# Frames of 0.4 MB, and such as take longer than the silence limit at 200 kB/s.
@long
@pytest.mark.parametrize(("size", "lasting_s"), [(256, 10), (512, 40)])
def test_scalars_flow_while_frames_back_up_on_a_slow_link(
    network: Network, size: int, lasting_s: float
) -> None:
    for proxy in network.lines["both"]:
        proxy.bytes_per_s = SLOW_BYTES_PER_S
    publisher = network.publish(size=size, close_timeout=4, queue_mib=16)
    began_s = time.monotonic()
    lags = [lag_s(network.scene) for _ in watch(network.scene, lasting_s)]
    network.stop()
    outcome = network.scene.outcome(publisher)
    lasted_s = time.monotonic() - began_s
    network.scene.end(network.analyzer)
    assert max(lags) < 3.0, "no scalar stands behind a frame"
    books, drops = outcome["totals"]["train"], outcome["books"]["drops"]["train"]
    assert drops["queue_full"] > 50, "frames were to back up"
    # Half of them at least: none is given up halfway, and few are sent twice.
    frame_bytes = 2 * 3 * size * size
    assert books["delivered"] > lasted_s * SLOW_BYTES_PER_S / frame_bytes / 2 - 1
    # ZeroMQ holds a copy of what is on its way, half of the queue at most.
    assert outcome["memory"]["grown_mib"] < 16 + 8 + 16
    network.close()
    network.scene.replay(outcome["journal"])
    found = network.scene.audit()
    found.expect_once(outcome["batches"])
    found.expect_no_gap()
    kept = books["delivered"] + drops["closed"] + drops.get("peer_lost", 0)
    offered, arrived, dropped = found.frame_count
    assert offered == arrived + dropped == outcome["batches"]
    # While it greeted again, frames were journaled that made room for later ones afterwards.
    assert kept <= arrived < kept + 20
    assert found.status == "finished"


def watch(scene: Scene, lasting_s: float) -> Iterator[None]:
    """Look often, for so long."""
    until_s = time.monotonic() + lasting_s
    while time.monotonic() < until_s:
        yield
        time.sleep(0.05)


def lag_s(scene: Scene) -> float:
    """How old the latest committed batch is."""
    return time.time() - latest_committed(scene.folder)[1]
