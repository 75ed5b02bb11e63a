"""A man in the middle that speaks ZeroMQ: whole messages come twice, late, swapped or never.

In front a ROUTER for each of the two sockets; behind, for each peer of it, a DEALER of the same
name. What becomes of a message is drawn with a seed; when it comes is up to the network.
"""

import heapq
import itertools
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgpack
import zmq

Way = Literal["in", "out"]
"""Toward the analyzer, and back."""

Fate = Literal["passed", "dropped", "doubled", "delayed"]
Key = tuple[Way, str]
_Lane = tuple[Literal["ctl", "bulk"], bytes]

_TURN_MS: Final = 5


@dataclass(frozen=True)
class Plan:
    """What befalls messages.

    Attributes
    ----------
    drop, double, delay : float
        Chances from 0 to 1 of every message; a doubled one comes again a little later, a delayed
        one is overtaken by those behind it.
    longest_delay_s : float
        Longest delay; the shortest is none.
    drop_first, double_first : mapping
        By way and kind of message, how many of the first ones are dropped, or come twice.
    """

    drop: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    longest_delay_s: float = 0.2
    drop_first: Mapping[Key, int] = field(default_factory=dict)
    double_first: Mapping[Key, int] = field(default_factory=dict)


class Meddler(threading.Thread):
    """Takes connections at `port` and the next one for an analyzer at `target` and the next one.

    Attributes
    ----------
    fates : Counter
        How many messages met which fate, by way, kind and fate.
    """

    def __init__(self, port: int, target: int, plan: Plan, *, seed: int) -> None:
        super().__init__(daemon=True)
        self.fates: Counter[tuple[Way, str, Fate]] = Counter()
        self._seen: Counter[Key] = Counter()
        self._plan = plan
        self._generator = random.Random(seed)
        self._target = {"ctl": target, "bulk": target + 1}
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._fronts = {
            "ctl": self._front(port),
            "bulk": self._front(port + 1),
        }
        self._behind: dict[_Lane, zmq.Socket[bytes]] = {}
        self._late: list[tuple[float, int, Way, _Lane, list[bytes]]] = []
        self._numbers = itertools.count()
        self._over = threading.Event()
        self.start()

    def run(self) -> None:
        """Pass messages on until `close`."""
        while not self._over.is_set():
            self._poller.poll(_TURN_MS)
            for name, front in self._fronts.items():
                for peer, *parts in _received(front):
                    self._meddle("in", (name, peer), parts)  # type: ignore[arg-type]
            for lane, dealer in list(self._behind.items()):
                for parts in _received(dealer):
                    self._meddle("out", lane, parts)
            while self._late and self._late[0][0] <= time.monotonic():
                _, _, way, lane, parts = heapq.heappop(self._late)
                self._pass_on(way, lane, parts)
        self._context.destroy(linger=0)

    def close(self) -> None:
        """Stop; what was held is lost."""
        self._over.set()
        self.join()

    def met(self, fate: Fate) -> dict[str, int]:
        """How many messages of each kind met `fate`, both ways together."""
        counts: defaultdict[str, int] = defaultdict(int)
        for (_, kind, its_fate), count in self.fates.items():
            if its_fate == fate:
                counts[kind] += count
        return dict(counts)

    def _meddle(self, way: Way, lane: _Lane, parts: list[bytes]) -> None:
        kind = _kind(parts[0])
        fate = self._draw((way, kind))
        self.fates[way, kind, fate] += 1
        if fate in ("passed", "doubled"):
            self._pass_on(way, lane, parts)
        if fate in ("delayed", "doubled"):
            due_s = time.monotonic() + self._generator.uniform(0, self._plan.longest_delay_s)
            heapq.heappush(self._late, (due_s, next(self._numbers), way, lane, parts))

    def _draw(self, key: Key) -> Fate:
        plan, number, chance = self._plan, self._seen[key], self._generator.random()
        self._seen[key] += 1
        if number < plan.drop_first.get(key, 0):
            return "dropped"
        if number < plan.double_first.get(key, 0):
            return "doubled"
        for fate, share in (
            ("dropped", plan.drop),
            ("doubled", plan.double),
            ("delayed", plan.delay),
        ):
            if chance < share:
                return fate  # type: ignore[return-value]
            chance -= share
        return "passed"

    def _pass_on(self, way: Way, lane: _Lane, parts: list[bytes]) -> None:
        name, peer = lane
        if way == "out":
            self._fronts[name].send_multipart([peer, *parts])
            return
        if lane not in self._behind:
            self._behind[lane] = self._dealer(lane)
        self._behind[lane].send_multipart(parts)

    def _front(self, port: int) -> "zmq.Socket[bytes]":
        front = self._socket(zmq.ROUTER)
        front.setsockopt(zmq.ROUTER_HANDOVER, 1)
        front.bind(f"tcp://127.0.0.1:{port}")
        return front

    def _dealer(self, lane: _Lane) -> "zmq.Socket[bytes]":
        name, peer = lane
        dealer = self._socket(zmq.DEALER)
        dealer.setsockopt(zmq.ROUTING_ID, peer)
        dealer.connect(f"tcp://127.0.0.1:{self._target[name]}")
        return dealer

    def _socket(self, kind: int) -> "zmq.Socket[bytes]":
        made = self._context.socket(kind)
        for option in (zmq.LINGER, zmq.SNDHWM, zmq.RCVHWM):
            made.setsockopt(option, 0)
        self._poller.register(made, zmq.POLLIN)
        return made


def _received(source: "zmq.Socket[bytes]") -> list[list[bytes]]:
    """What is there, at most so many messages that the others have their turn."""
    messages: list[list[bytes]] = []
    while len(messages) < 256:
        try:
            messages.append(source.recv_multipart(flags=zmq.DONTWAIT))
        except zmq.Again:
            break
    return messages


def _kind(header: bytes) -> str:
    fields = msgpack.unpackb(header)
    return str(fields["kind"])
