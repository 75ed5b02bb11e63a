"""Where an analyzer listens: one address that stands for its two sockets."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.errors import ConfigurationError

_FORMS = "tcp://HOST:PORT (the next port is used too) or ipc://PATH"


@dataclass(frozen=True)
class Address:
    """Addresses of the two sockets of one analyzer."""

    ctl: str
    bulk: str
    loopback: bool


def parse_address(text: str) -> Address:
    """Both socket addresses of ``tcp://HOST:PORT`` or ``ipc://PATH``.

    Raises
    ------
    ConfigurationError
        If `text` has another form.

    Examples
    --------
    >>> parse_address("tcp://127.0.0.1:5555").bulk
    'tcp://127.0.0.1:5556'
    """
    scheme, _, rest = text.partition("://")
    if scheme == "ipc" and rest:
        return Address(f"{text}.ctl", f"{text}.bulk", loopback=True)
    if scheme == "tcp":
        return _tcp_address(text)
    raise ConfigurationError(f"address {text!r} has another form than {_FORMS}")


def _tcp_address(text: str) -> Address:
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None or not 1 <= port <= 65534 or parts.path:
        raise ConfigurationError(
            f"address {text!r} has another form than {_FORMS}; ports go from 1 to 65534"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    loopback = parts.hostname in ("localhost", "::1") or parts.hostname.startswith("127.")
    return Address(f"tcp://{host}:{port}", f"tcp://{host}:{port + 1}", loopback)
