"""The calls of `tasks` as calls that may run on another machine, and a cluster for them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from analyzer_service.cluster import returning
from analyzer_service.cluster.remote import Plain, RemoteCall
from analyzer_service.cluster.returning import Wait
from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.workers import PoolWorkers
from shared.errors import ConfigurationError
from tests.analyzer_service.workers import tasks

_HERE = "tests.analyzer_service.workers.remote"


def _pack(*args: Any) -> Plain:
    return [str(arg) if isinstance(arg, Path) else arg for arg in args]


def _unpack(plain: Plain) -> tuple[Any, ...]:
    return tuple(Path(arg) if isinstance(arg, str) else arg for arg in plain)


def _same(value: Any) -> Any:
    return value


def _of(function: Callable[..., Any]) -> RemoteCall:
    name = f"{_HERE}:{function.__name__.upper()}"
    return RemoteCall(name, function, _pack, _unpack, _same, _same)


ADD = _of(tasks.add)
FAIL = _of(tasks.fail)
FILL_DISK = _of(tasks.fill_disk)
CHECKSUM = _of(tasks.checksum)
CHECKSUM_ON_SECOND_TRY = _of(tasks.checksum_on_second_try)
IS_READ_ONLY = _of(tasks.is_read_only)
SLEEP = _of(tasks.sleep)
DIE = _of(tasks.die)
PROCESS_ID = _of(tasks.process_id)
MARK_AND_SLEEP = _of(tasks.mark_and_sleep)
UNPICKLABLE = _of(tasks.unpicklable)
REMOTE: Mapping[Callable[..., Any], RemoteCall] = {
    each.function: each for each in list(globals().values()) if isinstance(each, RemoteCall)
}


@contextmanager
def dask_cluster(workers: int = 1, *, security: Any = None, port: int = 0) -> Iterator[Any]:
    """Scheduler and worker processes on this machine, nobody else's, without a dashboard."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        scheduler_port=port,
        protocol="tcp" if security is None else "tls",
        security=security,
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
        silence_logs=50,
    ) as cluster:
        yield cluster


def cluster_workers(address: str, *, wait: Wait = returning.wait) -> ClusterWorkers:
    pool = PoolWorkers(1)
    try:
        return ClusterWorkers(ClusterSettings(address), pool, REMOTE, wait=wait)
    except ConfigurationError:
        pool.close()
        raise
