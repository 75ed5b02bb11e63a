"""Where metrics are served: an address that its user gave, or the first free one of ten."""

import errno
import re
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from shared.errors import ConfigurationError

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 9464
_TRIED: Final = 10
_BACKLOG: Final = 128
_FORM: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_WHAT_TO_DO: Final = {
    errno.EADDRINUSE: "it is in use",
    errno.EACCES: "ports below 1024 are not permitted",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


@dataclass(frozen=True, slots=True)
class MetricsAddress:
    """A host, and the ports to try in turn; port 0 is any free one.

    `asked_for` tells that its user named it: then it must be had.
    """

    host: str = DEFAULT_HOST
    ports: tuple[int, ...] = tuple(range(DEFAULT_PORT, DEFAULT_PORT + _TRIED))
    asked_for: bool = False

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it; only a number decides, or ``localhost``."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def parse_metrics_address(text: str) -> MetricsAddress:
    """Address of ``HOST:PORT``, IPv6 in brackets.

    Raises
    ------
    ConfigurationError
        If `text` has another form.

    Examples
    --------
    >>> parse_metrics_address("[::1]:9464").host
    '::1'
    """
    match = _FORM.fullmatch(text)
    if match is None or int(match[2]) > 65535:
        raise ConfigurationError(f"--metrics {text}: give HOST:PORT, or off")
    host, port = match[1].strip("[]"), int(match[2])
    return MetricsAddress(host, (port,), asked_for=True)


def listen(address: MetricsAddress) -> socket.socket | None:
    """Listening socket of the first port that is free; None if none of the default ones is.

    Raises
    ------
    ConfigurationError
        If the address that was asked for cannot be had.
    """
    why = OSError()
    for port in address.ports:
        try:
            return _listen(address.host, port)
        except OSError as error:
            why = error
    if not address.asked_for:
        return None
    reason = _WHAT_TO_DO.get(why.errno or 0) or why.strerror or str(why)
    raise ConfigurationError(
        f"metrics cannot be served at {address.host}:{address.ports[0]}: {reason}; choose another "
        "with --metrics HOST:PORT, or --metrics off"
    )


def url_of(listener: socket.socket) -> str:
    """Where a browser finds the metrics."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    name = DEFAULT_HOST if host == "localhost" else host
    return socket.create_server((name, port), family=family, backlog=_BACKLOG)
