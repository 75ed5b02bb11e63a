"""Peers that send in vain again and again are not listened to for a while."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

STRIKES: Final = 1000
WINDOW_S: Final = 10.0
DEAF_S: Final = 10.0
_REMEMBERED: Final = 1024


@dataclass
class _Peer:
    since: float
    strikes: int = 0
    deaf_until: float = float("-inf")


class Flood:
    """Strikes of each peer; beyond 1000 within 10 s it is ignored for the next 10 s.

    Remembers 1024 peers, the latest ones; a peer is a routing id, so that a further one costs
    its sender a connection.

    Examples
    --------
    >>> flood = Flood()
    >>> flood.strike(b"a", 1000, now=0.0), flood.strike(b"a", 1, now=1.0)
    (False, True)
    >>> flood.ignores(b"a", now=10.9), flood.ignores(b"a", now=11.0), flood.ignores(b"b", now=2.0)
    (True, False, False)
    """

    def __init__(self) -> None:
        self._peers: OrderedDict[bytes, _Peer] = OrderedDict()

    def strike(self, peer: bytes, weight: int, now: float) -> bool:
        """Count against `peer`; True when it is ignored from now on."""
        known = self._peers.get(peer)
        if known is None or now - known.since >= WINDOW_S:
            known = self._peers[peer] = _Peer(now)
        self._peers.move_to_end(peer)
        if len(self._peers) > _REMEMBERED:
            self._peers.popitem(last=False)
        known.strikes += weight
        if known.strikes <= STRIKES:
            return False
        known.since, known.strikes, known.deaf_until = now, 0, now + DEAF_S
        return True

    def ignores(self, peer: bytes, now: float) -> bool:
        """Tell whether what `peer` sends is to be dropped unread."""
        known = self._peers.get(peer)
        return known is not None and now < known.deaf_until
