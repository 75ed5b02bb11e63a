"""Peers that mean no good while a real run goes on: it goes on, and they cost little.

Memory is that of the analyzer and its workers, against what they held before.
"""

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from tests.processes.audit import latest_committed
from tests.processes.hostile import (
    claiming_a_gib,
    half_open,
    is_cut,
    never_read,
    throw_bytes,
    throw_messages,
)
from tests.processes.scene import (
    Scene,
    expect_everything,
    family_peak_mib,
    family_resident_mib,
)
from tests.processes.scraping import port_of, scrape

pytestmark = pytest.mark.process
long = pytest.mark.long

LONGEST_LAG_S = 5.0
"""From handing a batch over to its commit; an analyzer that is kept busy falls behind for good."""
GROWN_MIB = 64
LOG_BYTES = 64 << 10


class Besieged:
    """A run that is published while something else happens to its analyzer."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.port = int(scene.endpoint.rpartition(":")[2])
        self.analyzer = scene.analyzer("--metrics", "127.0.0.1:0")
        log = scene.log_of(self.analyzer)
        scene.until(lambda: port_of(log))
        self.metrics_port = port_of(log)
        self._enough = scene.home / "enough"
        self.publisher = scene.publisher(
            until=self._enough, batches=100_000, step_s=0.02, close_timeout=20
        )
        scene.until_steps(50)
        self.before_mib = family_resident_mib(self.analyzer)
        self.lags_s: list[float] = []

    def meanwhile(self, what: Callable[[], object]) -> None:
        """Do `what`, and note how far the analyzer falls behind meanwhile."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                what()
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        while True:
            self.lags_s.append(time.time() - latest_committed(self.scene.folder)[1])
            if not thread.is_alive():
                break
            thread.join(0.05)
        if failures:
            raise failures[0]

    def counted(self, what: str) -> float:
        """How many messages the analyzer has counted as ``malformed`` or ``ignored``."""
        assert self.metrics_port is not None
        return scrape(self.metrics_port).value(f"sidelight_messages_{what}_total")

    def expect_undisturbed(self) -> dict[str, Any]:
        """The run went on all the while; memory and log are small; nothing else was committed."""
        begun = len(self.scene.steps())
        self.scene.until_steps(begun + 50)
        grown_mib = family_peak_mib(self.analyzer) - self.before_mib
        self._enough.touch()
        outcome = self.scene.outcome(self.publisher)
        self.scene.end(self.analyzer)
        print(f"lag {max(self.lags_s):.2f} s, {grown_mib:.1f} MiB", outcome["handoff"])
        expect_everything(self.scene, outcome, outcome["batches"])
        assert max(self.lags_s) < LONGEST_LAG_S
        assert grown_mib < GROWN_MIB
        log = self.scene.log_of(self.analyzer)
        assert log.stat().st_size < LOG_BYTES
        assert [each.name for each in self.scene.folder.parent.iterdir()] == ["auto_analysis_bare"]
        assert "Traceback" not in log.read_text()
        return outcome


@pytest.fixture
def besieged(scene: Scene) -> Besieged:
    return Besieged(scene)


# The short one is part of make test.
@pytest.mark.parametrize(("count", "seed"), [(4_000, 1), pytest.param(100_000, 2, marks=long)])
def test_messages_that_are_none_disturb_nobody(besieged: Besieged, count: int, seed: int) -> None:
    def attack() -> None:
        throw_bytes(besieged.port, 20, seed)
        throw_messages(besieged.port, count, seed)

    besieged.meanwhile(attack)
    # Most were looked at, and found to be none; what is served is up to a second old.
    besieged.scene.until(lambda: besieged.counted("malformed") > 0.5 * count)
    print(
        f"{besieged.counted('malformed'):.0f} malformed, {besieged.counted('ignored'):.0f} ignored"
    )
    besieged.expect_undisturbed()
    assert "no message" in besieged.scene.said()


def test_a_part_of_a_gib_is_cut_off_before_it_comes(besieged: Besieged) -> None:
    for port in (besieged.port, besieged.port + 1):
        with claiming_a_gib(port) as connection:
            besieged.meanwhile(lambda: besieged.scene.until(lambda: is_cut(connection)))
    besieged.expect_undisturbed()


@long
def test_connections_that_say_nothing_are_cut_and_make_room(besieged: Besieged) -> None:
    with ExitStack() as stack:
        silent = [
            each
            for port in (besieged.port, besieged.port + 1)
            for each in stack.enter_context(half_open(port, 500))
        ]
        besieged.meanwhile(lambda: besieged.scene.until(lambda: all(map(is_cut, silent))))
    besieged.expect_undisturbed()


@long
def test_a_peer_that_never_reads_holds_nothing_up(besieged: Besieged) -> None:
    asked: list[int] = []
    besieged.meanwhile(lambda: asked.append(never_read(besieged.port, 15.0)))
    besieged.expect_undisturbed()
    assert asked[0] > 5_000
