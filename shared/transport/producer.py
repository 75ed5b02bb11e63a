"""A producer's two sockets. Nothing here waits: a send that cannot go now says so.

ZeroMQ sockets belong to one thread; whoever makes a `ProducerSockets` must be the only one to
touch it.
"""

import os
import secrets
import time
from collections.abc import Sequence
from typing import Literal

import zmq

from shared.codec import Buffer
from shared.errors import ConfigurationError
from shared.protocol import MAX_CONTROL_BYTES
from shared.transport.addresses import Address
from shared.transport.keys import ClientKeys

Channel = Literal["ctl", "bulk"]

_RECONNECT_MS = 100
_RECONNECT_MAX_MS = 1000
_LAST_WORDS_MS = 200
_CTL_HIGH_WATER_MARK = 4096
# Of what comes, ZeroMQ holds so many messages, each of so many bytes a part; few are taken at once.
_RECEIVE_HIGH_WATER_MARK = 32
_LONGEST_PARTS: dict[Channel, int] = {"ctl": MAX_CONTROL_BYTES, "bulk": 4096}
_MOST_AT_ONCE = 64
_SEND_HIGH_WATER_MARKS: dict[Channel, int] = {"ctl": _CTL_HIGH_WATER_MARK, "bulk": 256}


class ProducerSockets:
    """Two DEALER sockets that connect to an analyzer's `ctl` and `bulk`.

    Parameters
    ----------
    address : Address
        Where the analyzer listens; nobody needs to be there yet.
    keys : ClientKeys, optional
        With them every byte is encrypted, and only the analyzer that they name is spoken to.

    Raises
    ------
    ConfigurationError
        If ZeroMQ can connect to no such address, whoever is there.
    """

    def __init__(self, address: Address, keys: ClientKeys | None = None) -> None:
        self._address = address
        self._keys = keys
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        self._used: set[Channel] = set()
        self._poller = zmq.Poller()
        self._check()

    def reopen(self) -> None:
        """Close what is open and connect anew, under a new random routing id."""
        self._close_sockets()
        self._open("ctl")
        self._open("bulk")

    def shut(self) -> None:
        """Close what is open; nothing is sent or received until `reopen`."""
        self._close_sockets()

    def renew(self, channel: Channel) -> None:
        """Open `channel` anew unless nothing was sent on it: what it still holds is let go.

        Without that, what is sent again would be held twice by a connection that stands still.
        """
        if channel in self._used:
            self._close_socket(channel)
            self._open(channel)

    def send(self, channel: Channel, parts: Sequence[Buffer]) -> bool:
        """Hand one message to ZeroMQ; False when no connection can take it now.

        The parts are copied, without the interpreter's lock, and may change afterwards. To lend
        them instead saves half of a sender's processor time for large frames, but pyzmq then needs
        a thread of its own, which it joins without a limit at the interpreter's exit.
        """
        socket = self._sockets.get(channel)
        if socket is None:
            return False
        try:
            socket.send_multipart(parts, flags=zmq.DONTWAIT)
        except zmq.Again:
            return False
        self._used.add(channel)
        return True

    def receive(self, timeout_ms: int) -> list[bytes]:
        """Control headers that came, after waiting at most `timeout_ms` for the first.

        At most 64 of each socket: who sends without end keeps nobody from what else is due.
        """
        headers: list[bytes] = []
        if not self._sockets:  # a poller that has nothing to watch does not wait
            time.sleep(timeout_ms / 1000)
        for socket, _ in self._poller.poll(timeout_ms):
            headers.extend(_drain(socket))
        return headers

    def close(self, *, last_words: Sequence[Buffer] | None = None) -> None:
        """Close everything at once; what was not sent is forgotten.

        Only `last_words`, on `ctl`, have 0.2 s to leave, to a peer that was heard just now.
        """
        if last_words is not None and self.send("ctl", last_words):
            self._close_socket("ctl", linger_ms=_LAST_WORDS_MS)
        self._close_sockets()
        self._context.destroy(linger=0)

    def _check(self) -> None:
        """Connect once and leave: a wrong address is to be said at once, and to the caller."""
        try:
            self.reopen()
        except zmq.ZMQError as error:
            self.close()
            raise ConfigurationError(
                f"cannot connect to {self._address.ctl}: {os.strerror(error.errno or 0)}; give the "
                "address at which the analyzer listens, by its host's name or number"
            ) from error
        self._close_sockets()

    def _open(self, channel: Channel) -> None:
        url = self._address.ctl if channel == "ctl" else self._address.bulk
        socket = self._context.socket(zmq.DEALER)
        socket.setsockopt(zmq.ROUTING_ID, b"s" + secrets.token_bytes(16))
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.IMMEDIATE, 1)
        socket.setsockopt(zmq.SNDHWM, _SEND_HIGH_WATER_MARKS[channel])
        socket.setsockopt(zmq.RCVHWM, _RECEIVE_HIGH_WATER_MARK)
        socket.setsockopt(zmq.IPV6, int("[" in url))
        socket.setsockopt(zmq.MAXMSGSIZE, _LONGEST_PARTS[channel])
        socket.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        socket.setsockopt(zmq.RECONNECT_IVL_MAX, _RECONNECT_MAX_MS)
        if self._keys is not None:
            _identify(socket, self._keys)
        self._sockets[channel] = socket
        self._poller.register(socket, zmq.POLLIN)
        socket.connect(url)

    def _close_sockets(self) -> None:
        for channel in list(self._sockets):
            self._close_socket(channel)

    def _close_socket(self, channel: Channel, *, linger_ms: int = 0) -> None:
        socket = self._sockets.pop(channel)
        self._used.discard(channel)
        self._poller.unregister(socket)
        socket.close(linger=linger_ms)


def _identify(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Let `socket`, before it connects, speak CURVE with one server only."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)


def _drain(socket: zmq.Socket[bytes]) -> list[bytes]:
    headers: list[bytes] = []
    while len(headers) < _MOST_AT_ONCE:
        try:
            headers.append(socket.recv(flags=zmq.DONTWAIT))
        except zmq.Again:
            break
        while socket.getsockopt(zmq.RCVMORE):  # an analyzer's messages have one part
            socket.recv(flags=zmq.DONTWAIT, copy=False)
    return headers
