"""Who may connect: an allow-list of public keys, asked by ZeroMQ at each connection.

CURVE alone lets every client in that knows the server's public key. ZeroMQ asks the
authenticator within its own context, before a byte of a peer reaches a socket of ours; it
answers on a daemon thread of its own. Where it does not answer, nobody gets in.
"""

import logging
from typing import Final

import zmq
from zmq.auth.thread import ThreadAuthenticator

from shared.transport.keys import ServerKeys

logger = logging.getLogger(__name__)

_DOMAIN: Final = "sidelight"
_SAID_AT_MOST: Final = 20


class Gate:
    """Lets the authorized keys in to the sockets of one context that `guard` was called for.

    Parameters
    ----------
    context : zmq.Context
        The context of the sockets to be guarded.
    keys : ServerKeys
        The server's pair and the allow-list.
    """

    def __init__(self, context: "zmq.Context[zmq.Socket[bytes]]", keys: ServerKeys) -> None:
        self._keys = keys
        self._authenticator = ThreadAuthenticator(context)
        self._authenticator.configure_curve_callback(
            domain=_DOMAIN, credentials_provider=_AllowList(keys.authorized)
        )
        self._authenticator.start()

    def guard(self, router: "zmq.Socket[bytes]") -> None:
        """Let `router`, before it is bound, speak CURVE with authorized keys only."""
        router.setsockopt(zmq.CURVE_SERVER, 1)
        router.setsockopt(zmq.CURVE_PUBLICKEY, self._keys.public)
        router.setsockopt(zmq.CURVE_SECRETKEY, self._keys.secret)
        router.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN.encode())
        # Without it ZeroMQ lets everyone in when nobody answers for the domain.
        router.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)

    def close(self) -> None:
        """End the thread; the guarded sockets let nobody in any more."""
        self._authenticator.stop()


class _AllowList:
    """What `ThreadAuthenticator` asks; each refused key is named once, a few of them."""

    def __init__(self, authorized: frozenset[bytes]) -> None:
        self._authorized = authorized
        self._said: set[bytes] = set()

    def callback(self, _domain: str, key: bytes) -> bool:
        """Tell whether `key` (Z85) may connect."""
        if key in self._authorized:
            return True
        if key not in self._said and len(self._said) < _SAID_AT_MOST:
            self._said.add(key)
            logger.warning(
                "connection refused: key %s is not authorized; if it should be, copy its .key "
                "file to authorized/ and start again",
                key.decode("ascii", "replace"),
            )
        return False
