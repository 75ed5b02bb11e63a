"""How many connections one port takes: one that comes while there are so many is cut.

ZeroMQ takes any number, each a file descriptor, so that one peer could use them all up. It
reports each connection and each end of one; a connection that never gets past its handshake
ends by itself after `shared.transport.server`'s time limit.
"""

import contextlib
import itertools
import logging
import os
import socket

import zmq
from zmq.utils.monitor import recv_monitor_message

logger = logging.getLogger(__name__)

_numbers = itertools.count()


class Turnstile:
    """Counts the connections of a ROUTER that listens on TCP, and cuts what is too many.

    Belongs to the thread of its socket.

    Parameters
    ----------
    router : zmq.Socket
        Not bound yet.
    most : int
        Connections at which nobody else is let in.

    Attributes
    ----------
    reports : zmq.Socket
        Can be read when `turn` has something to do.
    """

    def __init__(self, router: "zmq.Socket[bytes]", most: int) -> None:
        self._router = router
        self._most = most
        self._connections: set[int] = set()
        self._said = False
        address = f"inproc://turnstile-{next(_numbers)}"
        router.monitor(address, zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)
        self.reports: zmq.Socket[bytes] = router.context.socket(zmq.PAIR)
        # ZeroMQ waits where reports fill up, and every socket of the context with it.
        self.reports.setsockopt(zmq.RCVHWM, 0)
        self.reports.connect(address)

    def turn(self) -> None:
        """Take in what happened."""
        while self.reports.poll(0):
            report = recv_monitor_message(self.reports)
            descriptor = report["value"]
            if report["event"] != zmq.EVENT_ACCEPTED:
                self._connections.discard(descriptor)
                continue
            # By descriptor: should a report be missed, the next one with its number mends it.
            self._connections.add(descriptor)
            if len(self._connections) > self._most:
                self._cut(descriptor)

    def close(self) -> None:
        """Stop counting; the socket is left to its owner."""
        self._router.disable_monitor()
        self.reports.close(linger=0)

    def _cut(self, descriptor: int) -> None:
        if not self._said:
            self._said = True
            logger.warning(
                "%s has %d connections: further ones are cut",
                self._router.getsockopt_string(zmq.LAST_ENDPOINT),
                self._most,
            )
        # ZeroMQ has no word for this. The number may stand for another file by now.
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(descriptor)) as connection:
            if connection.getsockname()[1] == self._port:
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def _port(self) -> int:
        return int(self._router.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])
