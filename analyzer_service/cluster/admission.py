"""Opens a client of a dask scheduler, and compares what is installed there with this machine."""

import logging
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

from analyzer_service.cluster.installation import PROCESSOR, differences, installation
from analyzer_service.cluster.serving import describe_installation
from analyzer_service.cluster.settings import ClusterSettings
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

CONNECT_S: Final = 10.0


async def open_client(settings: ClusterSettings) -> Any:
    """A connected client; raises `ConfigurationError` if nobody answers."""
    try:
        import dask
        from distributed import Client
    except ImportError as error:
        raise ConfigurationError(
            f"--cluster needs dask: pip install 'sidelight[cluster]' ({error})"
        ) from error
    # Chunks are meant to be what dask calls a large graph.
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})
    client = Client(
        settings.address,
        security=_security(settings),
        asynchronous=True,
        set_as_default=False,
        timeout=CONNECT_S,
        name="sidelight",
    )
    try:
        return await client
    except (OSError, TimeoutError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"--cluster {settings.address}: no dask scheduler can be reached there: {error}"
        ) from error
    except BaseException:  # given up meanwhile: dask would leave its sockets open
        await client.close(timeout=1)
        raise


async def compare_scheduler(client: Any, address: str) -> None:
    """Raises `ConfigurationError` if another installation runs the scheduler."""
    try:
        theirs = await client.run_on_scheduler(describe_installation)
    except Exception as error:
        raise ConfigurationError(_unusable(address, "its scheduler", error)) from error
    _check(theirs, f"--cluster {address}: its scheduler")


async def compare_workers(
    client: Any, address: str, workers: Sequence[str]
) -> dict[str, ConfigurationError | None]:
    """By worker why it cannot be used, or None; one that cannot be asked now is left out."""
    found: dict[str, ConfigurationError | None] = {}
    told = await client.run(describe_installation, workers=list(workers), on_error="return")
    for where, theirs in told.items():
        if isinstance(theirs, OSError):  # it left, or is in trouble: no question of its versions
            continue
        try:
            if isinstance(theirs, BaseException):
                raise ConfigurationError(_unusable(address, where, theirs))
            _check(theirs, f"--cluster {address}: {where}")
        except ConfigurationError as error:
            found[where] = error
        else:
            found[where] = None
    return found


def _check(theirs: Mapping[str, str], where: str) -> None:
    ours = installation()
    found = differences(ours, theirs)
    if found:
        raise ConfigurationError(
            f"{where} has other versions, and results would not be the same: {'; '.join(found)}. "
            "Install the same Sidelight there, with -c constraints.txt"
        )
    if theirs.get(PROCESSOR) != ours[PROCESSOR]:
        logger.warning(
            "%s has another processor (%s, here %s): the last digits of results may differ",
            *(where, theirs.get(PROCESSOR), ours[PROCESSOR]),
        )


def _unusable(address: str, where: str, error: BaseException) -> str:
    text = " ".join(str(error).split())[:300]
    return (
        f"--cluster {address}: {where} cannot import this Sidelight "
        f"({type(error).__name__}: {text}): install the same one there, with its extras "
        "analyzer and cluster, and -c constraints.txt"
    )


def _security(settings: ClusterSettings) -> Any:
    from distributed.security import Security

    files = settings.tls
    if files is None:
        security = Security()  # of dask's configuration
        if settings.encrypted and security.tls_ca_file is None:
            raise ConfigurationError(
                f"--cluster {settings.address}: give --cluster-tls CA CERT KEY, or name the files "
                "in dask's configuration (distributed.comm.tls)"
            )
        return security
    return Security(
        require_encryption=True,
        tls_ca_file=str(files.ca),
        tls_client_cert=str(files.cert),
        tls_client_key=str(files.key),
    )
