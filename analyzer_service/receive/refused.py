"""What was refused from peers: counted always, said once for each, answered now and then."""

import logging
from collections import OrderedDict
from typing import Final, TypeVar

from shared.transport.server import Channel

K = TypeVar("K")
V = TypeVar("V")

logger = logging.getLogger(__name__)

_REMEMBERED: Final = 1024
_SAID_AT_MOST: Final = 100
_RESET_INTERVAL_S: Final = 1.0


class Refused:
    """Bounded memory of peers that sent what could not be read, or whom nobody knows."""

    def __init__(self) -> None:
        self.malformed = 0
        self._said = 0
        self._named: OrderedDict[bytes, None] = OrderedDict()
        self._resets: OrderedDict[tuple[Channel, bytes], float] = OrderedDict()

    def count(self, peer: bytes, why: str) -> None:
        """Count a message that is none; the first one of each peer is logged."""
        self.malformed += 1
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
