"""The analyzer that a run is published to, as its user names it."""

from pathlib import Path
from typing import TYPE_CHECKING

from shared.transport.addresses import parse_address

if TYPE_CHECKING:  # ZeroMQ is imported only where a socket is wanted
    from shared.transport.keys import ClientKeys
    from shared.transport.producer import ProducerSockets


class Target:
    """An address, and the keys for it.

    Parameters
    ----------
    endpoint : str
        ``tcp://HOST:PORT`` or ``ipc://PATH``.
    keys : Path, optional
        Folder of keys; see `shared.transport.keys`.
    own : bool
        Whether this process started the analyzer, which takes a while to listen.

    Raises
    ------
    ConfigurationError
        If one of the two cannot be used.
    """

    def __init__(self, endpoint: str, keys: Path | None = None, *, own: bool = False) -> None:
        self._endpoint = endpoint
        self._folder = keys
        self._own = own
        self._address = parse_address(endpoint)
        self._keys = None if keys is None else _load(keys)

    def connect(self) -> "ProducerSockets":
        """Sockets for it."""
        from shared.transport.producer import ProducerSockets

        return ProducerSockets(self._address, self._keys)

    @property
    def unanswered(self) -> str | None:
        """What to say when nobody has answered for a while; None when that is expected."""
        if self._own:
            return None
        if self._folder is None:
            check = "start it there; if it was given --keys, the trainer needs --keys, too"
        else:
            check = (
                f"start it there with --keys; its server.key must be the one in {self._folder}, "
                "and its folder authorized must hold the client.key that belongs to this trainer"
            )
        return f"nobody answers at {self._endpoint}; training goes on, records wait: {check}"


def _load(folder: Path) -> "ClientKeys":
    from shared.transport.keys import load_client_keys

    return load_client_keys(folder)
