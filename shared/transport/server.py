"""The analyzer's two sockets. Nothing here waits but `poll`; a send that cannot go says so.

ZeroMQ sockets belong to one thread; whoever makes a `RouterPair` must be the only one to touch it.
"""

import contextlib
import errno
import math
import os
import socket
import stat
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import zmq

from shared.codec import MAX_ARRAYS, MAX_HEADER_BYTES, MAX_MESSAGE_BYTES, Buffer, size_of
from shared.errors import ConfigurationError
from shared.protocol import MAX_CONTROL_BYTES
from shared.transport.addresses import Address
from shared.transport.keys import ServerKeys
from shared.transport.turnstile import Turnstile
from shared.transport.zap import Gate

Channel = Literal["ctl", "bulk"]

_LONGEST_PART: Final[dict[Channel, int]] = {
    "ctl": MAX_CONTROL_BYTES + MAX_HEADER_BYTES,
    "bulk": MAX_MESSAGE_BYTES + (1 << 20),
}
_HIGH_WATER_MARK: Final[dict[Channel, int]] = {"ctl": 4096, "bulk": 64}
# The peer's id, a control header, a message's header and its arrays.
_MOST_PARTS: Final = 3 + MAX_ARRAYS
_BYTES_AT_ONCE: Final = 64 << 20
_PARTS_AT_ONCE: Final = 8192
_HANDSHAKE_MS: Final = 5000
_PROBE_TIMEOUT_S: Final = 1.0
_WHAT_TO_DO: Final = {
    errno.EADDRINUSE: "it is in use: stop what listens there, or choose another with --bind",
    errno.EACCES: "not permitted: choose a port from 1024 on, or a folder that you may write",
    errno.EADDRNOTAVAIL: "this machine has no such address: choose one of its own",
    errno.ENODEV: "this machine has no such address: give one of its own by number",
    errno.ENOENT: "its folder is not there: make it, or choose another path",
    errno.ENAMETOOLONG: "the path is too long for a socket: choose a shorter one",
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """One message of a peer: its control header, then the parts of an encoded message.

    Parts that came by `bulk` are views of what ZeroMQ received, not copied. A message of more
    parts than any has comes as an empty header, which is none, and how many were too many.
    """

    peer: bytes
    header: Buffer
    parts: Sequence[Buffer]
    excess: int = 0

    @property
    def nbytes(self) -> int:
        """Size of header and parts."""
        return size_of((self.header, *self.parts))


class RouterPair:
    """Two bound ROUTER sockets, `ctl` and `bulk`.

    Parameters
    ----------
    address : Address
        Where to listen.
    keys : ServerKeys, optional
        With them every byte is encrypted, and only authorized trainers get in.
    most_connections : int
        On each of two TCP ports; what comes beyond is cut.

    Raises
    ------
    ConfigurationError
        If one of the two cannot be bound: somebody else listens there, or nobody may.
    """

    def __init__(
        self, address: Address, keys: ServerKeys | None = None, *, most_connections: int = 512
    ) -> None:
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._gate = None if keys is None else Gate(self._context, keys)
        self._sockets: dict[Channel, zmq.Socket[bytes]] = {}
        self._most_connections = most_connections
        self._turnstiles: list[Turnstile] = []
        self._files: list[tuple[str, int]] = []
        self._poller = zmq.Poller()
        try:
            self._bind("ctl", address.ctl)
            self._bind("bulk", address.bulk)
        except ConfigurationError:
            self.close()
            raise

    def receive(self, channel: Channel, limit: int) -> list[Incoming]:
        """At most `limit` messages that are there, taken from the peers in turn.

        Fewer when they are large or of very many parts, which take time to be thrown away: the
        last one is the first that brings them to 64 MiB, or to 8192 parts.
        """
        router = self._sockets[channel]
        messages: list[Incoming] = []
        nbytes = count = 0
        while len(messages) < limit and nbytes < _BYTES_AT_ONCE and count < _PARTS_AT_ONCE:
            try:
                (peer, *parts), excess = _receive_parts(router, copy=channel == "ctl")
            except zmq.Again:
                break
            count += 1 + len(parts) + excess
            if parts:
                message = Incoming(bytes(peer), parts[0], parts[1:], excess)
                nbytes += message.nbytes
                messages.append(message)
        return messages

    def send(self, channel: Channel, peer: bytes, header: bytes) -> bool:
        """Hand a control header to ZeroMQ; False when the peer is gone or takes no more."""
        try:
            self._sockets[channel].send_multipart((peer, header), flags=zmq.DONTWAIT)
        except zmq.ZMQError as error:
            if error.errno in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                return False
            raise
        return True

    def watch(self, fd: int) -> None:
        """Let `poll` return early when the file descriptor `fd` can be read."""
        self._poller.register(fd, zmq.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Undo `watch`."""
        self._poller.unregister(fd)

    def poll(self, timeout_ms: int) -> bool:
        """Wait for a message or a watched descriptor; tell whether there is one."""
        until = time.monotonic() + timeout_ms / 1000
        reports = {turnstile.reports for turnstile in self._turnstiles}
        while True:
            left_ms = math.ceil(1000 * max(0.0, until - time.monotonic()))
            ready = {source for source, _ in self._poller.poll(left_ms)}
            for turnstile in self._turnstiles:
                turnstile.turn()
            if ready - reports or not left_ms:
                return bool(ready - reports)

    def close(self, *, linger_ms: int = 0) -> None:
        """Stop listening; what was handed over may still leave for `linger_ms`."""
        for path, inode in self._files:
            _remove(path, inode)
        self._files.clear()
        for turnstile in self._turnstiles:
            self._poller.unregister(turnstile.reports)
            turnstile.close()
        self._turnstiles.clear()
        for router in self._sockets.values():
            self._poller.unregister(router)
            router.close(linger=linger_ms)
        self._sockets.clear()
        if self._gate is not None:
            self._gate.close()
        self._context.term()

    def _bind(self, channel: Channel, url: str) -> None:
        _check_free(url)
        router = self._context.socket(zmq.ROUTER)
        router.setsockopt(zmq.LINGER, 0)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)
        # A producer whose connection broke comes back under its id before the break is seen here.
        router.setsockopt(zmq.ROUTER_HANDOVER, 1)
        router.setsockopt(zmq.MAXMSGSIZE, _LONGEST_PART[channel])
        router.setsockopt(zmq.RCVHWM, _HIGH_WATER_MARK[channel])
        router.setsockopt(zmq.SNDHWM, _HIGH_WATER_MARK["ctl"])
        router.setsockopt(zmq.TCP_KEEPALIVE, 1)
        router.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
        router.setsockopt(zmq.IPV6, int("[" in url))
        if self._gate is not None:
            self._gate.guard(router)
        self._sockets[channel] = router
        self._poller.register(router, zmq.POLLIN)
        try:
            self._listen(router, url.replace("//localhost:", "//127.0.0.1:"))
        except zmq.ZMQError as error:
            raise ConfigurationError(_why(url, error.errno or 0)) from error
        if url.startswith("ipc://"):
            path = url.removeprefix("ipc://")
            self._files.append((path, os.stat(path).st_ino))

    def _listen(self, router: zmq.Socket[bytes], url: str) -> None:
        """Bind; ipc belongs to one user, who has no need to be kept from himself."""
        if not url.startswith("ipc://"):
            turnstile = Turnstile(router, self._most_connections)
            self._turnstiles.append(turnstile)
            self._poller.register(turnstile.reports, zmq.POLLIN)
        router.bind(url)


def _receive_parts(router: zmq.Socket[bytes], *, copy: bool) -> tuple[list[Buffer], int]:
    """Parts of the next message, the peer's id first; of too many, the id and an empty one.

    Beside them, how many were too many.
    """
    parts: list[Buffer] = []
    count, more = 0, True
    while more:
        part = router.recv(flags=zmq.DONTWAIT, copy=False)
        count += 1
        if count <= _MOST_PARTS:
            parts.append(part.bytes if copy else part.buffer)
        more = part.more
    excess = max(0, count - _MOST_PARTS)
    return ([parts[0], b""] if excess else parts), excess


def _remove(path: str, inode: int) -> None:
    """Remove a socket's file, unless somebody else's has taken its place."""
    with contextlib.suppress(OSError):
        if os.stat(path).st_ino == inode:
            os.unlink(path)


def _check_free(url: str) -> None:
    """Refuse an ipc path where somebody listens: ZeroMQ's own bind would take it away."""
    scheme, _, path = url.partition("://")
    if scheme != "ipc" or not os.path.lexists(path):
        return
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise ConfigurationError(
            f"cannot listen on {url}: a file that is no socket is there; choose another path"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except OSError as error:
            raise ConfigurationError(_why(url, error.errno or errno.EADDRINUSE)) from error
    raise ConfigurationError(_why(url, errno.EADDRINUSE))


def _why(url: str, number: int) -> str:
    advice = _WHAT_TO_DO.get(number, f"{os.strerror(number)}; choose another with --bind")
    return f"cannot listen on {url}: {advice}"
