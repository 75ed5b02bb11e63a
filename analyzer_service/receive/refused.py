"""What was refused from peers: counted always, said once for each, answered now and then."""

import logging
from collections import OrderedDict
from typing import Final, TypeVar

from analyzer_service.receive.flood import DEAF_S, Flood
from shared.transport.server import Channel, Incoming

K = TypeVar("K")
V = TypeVar("V")

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 1024
_SAID_AT_MOST: Final = 100
_RESET_INTERVAL_S: Final = 1.0
_HELLO_STRIKES: Final = 20
_STRIKE_BYTES: Final = 1 << 20
_STRIKE_PARTS: Final = 64


class Refused:
    """Bounded memory of peers that sent what could not be read, or whom nobody knows.

    A message that is none is a strike against its peer, and one more for each MiB of it and
    for each 64 parts too many; a Hello, which may be looked up on the disk, is 20. A peer with
    too many strikes is ignored for a while: see `Flood`.
    """

    def __init__(self) -> None:
        self.malformed = 0
        self.ignored = 0
        self._said = 0
        self._flood = Flood()
        self._named: OrderedDict[bytes, None] = OrderedDict()
        self._resets: OrderedDict[tuple[Channel, bytes], float] = OrderedDict()

    def ignores(self, peer: bytes, now: float) -> bool:
        """Tell whether a message of `peer` is to be dropped unread; count it then."""
        ignored = self._flood.ignores(peer, now)
        self.ignored += ignored
        return ignored

    def count(self, incoming: Incoming, why: str, now: float) -> None:
        """Count a message that is none; the first one of each peer is logged."""
        self.malformed += 1
        self._name(incoming.peer, why)
        size = incoming.nbytes // _STRIKE_BYTES + incoming.excess // _STRIKE_PARTS
        self._strike(incoming.peer, 1 + size, now)

    def greeted(self, peer: bytes, now: float) -> None:
        """Note a Hello; producers say one in a second."""
        self._strike(peer, _HELLO_STRIKES, now)

    def _strike(self, peer: bytes, weight: int, now: float) -> None:
        if self._flood.strike(peer, weight, now) and self._said <= _SAID_AT_MOST:
            self._said += 1
            logger.warning("peer %s floods: ignored for %.0f s", peer.hex()[:64], DEAF_S)

    def _name(self, peer: bytes, why: str) -> None:
        if peer in self._named or self._said > _SAID_AT_MOST:
            return
        self._said += 1
        _remember(self._named, peer, None)
        if self._said > _SAID_AT_MOST:
            logger.warning("many peers send what is no message; further ones are only counted")
            return
        logger.warning("peer %s sent what is no message: %s", peer.hex()[:64], why)

    def may_reset(self, channel: Channel, peer: bytes, now: float) -> bool:
        """Tell whether `peer` may be told again that nobody knows it: once a second."""
        if now - self._resets.get((channel, peer), float("-inf")) < _RESET_INTERVAL_S:
            return False
        _remember(self._resets, (channel, peer), now)
        return True


def _remember(memory: OrderedDict[K, V], key: K, what: V) -> None:
    memory[key] = what
    memory.move_to_end(key)
    if len(memory) > _REMEMBERED:
        memory.popitem(last=False)
