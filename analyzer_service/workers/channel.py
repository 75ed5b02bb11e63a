"""Messages between a worker process and its parent, with a descriptor where one comes along."""

import select
import socket
import struct
from typing import Final, NamedTuple

_HEAD: Final = struct.Struct("<QB")  # bytes that follow, descriptors that come along


class Received(NamedTuple):
    """One message; whoever takes it closes `fd`."""

    data: bytearray
    fd: int | None


class Channel:
    """One end of a pair of connected Unix sockets, for one reading and one writing thread.

    Its methods raise `OSError` or `EOFError` when the other end is gone, or is stuck for longer
    than the socket's own timeout.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def send(self, data: bytes, fd: int | None = None) -> None:
        """Send `data`, and with it a duplicate of the descriptor `fd`."""
        fds = [] if fd is None else [fd]
        head = _HEAD.pack(len(data), len(fds))
        sent = socket.send_fds(self._socket, [head, data], fds)
        if sent < len(head):
            self._socket.sendall(head[sent:])
        self._socket.sendall(memoryview(data)[max(0, sent - len(head)) :])

    def receive(self) -> Received:
        """Wait for the next message."""
        head, fds, _, _ = socket.recv_fds(self._socket, _HEAD.size, 1)
        head += self._exactly(_HEAD.size - len(head))
        nbytes, announced = _HEAD.unpack(head)
        if len(fds) < announced:
            raise OSError("a descriptor came that this process has no room for")
        return Received(self._exactly(nbytes), fds[0] if fds else None)

    def poll(self, timeout_s: float) -> bool:
        """Wait for a message; tell whether one begins, or the other end is gone."""
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        return bool(poller.poll(1000 * timeout_s))

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _exactly(self, nbytes: int) -> bytearray:
        data = bytearray(nbytes)
        left = memoryview(data)
        while left:
            count = self._socket.recv_into(left)
            if not count:
                raise EOFError("the other end is closed")
            left = left[count:]
        return data
