"""Which cluster to use, and how its connections are protected."""

from dataclasses import dataclass
from pathlib import Path

from shared.errors import ConfigurationError
from shared.transport.addresses import parse_address

_FORMS = "tcp://HOST:PORT or tls://HOST:PORT"


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files: who signs the cluster's certificates, and the analyzer's own with its key."""

    ca: Path
    cert: Path
    key: Path


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """A dask scheduler; `tls` None takes the files that dask's own configuration names."""

    address: str
    tls: TlsFiles | None = None

    @property
    def encrypted(self) -> bool:
        """Whether its address asks for TLS."""
        return self.address.startswith("tls://")


def check_cluster(
    address: str | None,
    tls: tuple[Path, Path, Path] | None,
    *,
    allow_plaintext_cluster: bool,
) -> ClusterSettings | None:
    """The cluster that the flags name; None without an address.

    Raises
    ------
    ConfigurationError
        If the address is none, its files are missing, or it is beyond this machine with neither
        TLS nor the explicit flag.
    """
    if address is None:
        if tls is not None:
            raise ConfigurationError("--cluster-tls needs --cluster tls://HOST:PORT")
        return None
    scheme, _, rest = address.partition("://")
    if scheme not in ("tcp", "tls"):
        raise ConfigurationError(f"--cluster {address} has another form than {_FORMS}")
    try:
        at = parse_address(f"tcp://{rest}")
    except ConfigurationError as error:
        raise ConfigurationError(f"--cluster {address}: expected {_FORMS}") from error
    if scheme == "tcp" and tls is not None:
        raise ConfigurationError(f"--cluster {address} is not encrypted: say tls://{rest}")
    if scheme == "tcp" and not (at.loopback or allow_plaintext_cluster):
        raise ConfigurationError(
            f"--cluster {address} is on another machine, without encryption or a check of who "
            "connects, and whoever reaches a dask scheduler can run programs on all its machines: "
            f"give tls://{rest} with --cluster-tls CA CERT KEY, or say --allow-plaintext-cluster"
        )
    return ClusterSettings(address, None if tls is None else _checked(TlsFiles(*tls)))


def _checked(files: TlsFiles) -> TlsFiles:
    for path in (files.ca, files.cert, files.key):
        if not path.is_file():
            raise ConfigurationError(f"--cluster-tls: {path} is no file")
    return files
