"""The connection to a dask scheduler: a thread and an event loop, on which all of dask runs.

The ingest loop hands chunks over and takes answers back; what dask does in between (pickling,
sockets, retries) costs it nothing. dask runs a chunk again when the worker that had it is gone.
"""

import asyncio
import concurrent.futures
import itertools
import logging
import ssl
import threading
import uuid
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Final, TypeVar

import numpy as np

from analyzer_service.cluster.installation import PROCESSOR, differences, installation
from analyzer_service.cluster.serving import describe_installation, run_chunk
from analyzer_service.cluster.settings import ClusterSettings
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

T = TypeVar("T")
CONNECT_S: Final = 10.0
_WORKERS_S: Final = 30.0
_CHECK_S: Final = 60.0
_LOOK_S: Final = 1.0
_ANSWER_S: Final = 30.0
_WITHOUT_WORKERS_S: Final = 60.0
_CLOSE_S: Final = 5.0
_GONE: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)

Answer = bytes | BaseException


class Connection:
    """A cluster that is there, of the same installation as this one.

    Parameters
    ----------
    settings : ClusterSettings
        Where its scheduler is.
    on_answer : callable
        Gets the number of a chunk with its answer, or with what ended it; on another thread.
    on_lost : callable
        Gets why the cluster cannot be used any more, once; on another thread.

    Raises
    ------
    ConfigurationError
        If nobody answers, no worker has joined, or a version there is another one than here.
    """

    def __init__(
        self,
        settings: ClusterSettings,
        on_answer: Callable[[int, Answer], None],
        on_lost: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._on_answer = on_answer
        self._on_lost = on_lost
        self._numbers = itertools.count(1)
        self._name = f"sidelight-{uuid.uuid4().hex[:12]}"
        self._futures: dict[int, Any] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = False
        self._closed = False
        self.slots = 1
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._thread.start()
        try:
            self._client = self._call(self._open(), CONNECT_S + _WORKERS_S + _CHECK_S)
        except TimeoutError as error:
            self._end_loop()
            text = f"--cluster {settings.address}: it did not say in time what is installed there"
            raise ConfigurationError(text) from error
        except BaseException:
            self._end_loop()
            raise

    def send(self, header: bytes, payloads: Sequence[bytes]) -> int:
        """Have a chunk run; return its number, by which its answer comes."""
        number = next(self._numbers)
        self._loop.call_soon_threadsafe(self._submit, number, header, payloads)
        return number

    def cancel(self, number: int) -> None:
        """Let a chunk be dropped, running or not; nothing comes of it any more."""
        self._loop.call_soon_threadsafe(self._release, number)

    def close(self) -> None:
        """Drop what runs, and leave the cluster as it is for others; may be repeated."""
        if self._closed:
            return
        self._closed = True
        try:
            self._call(self._leave(), _CLOSE_S)
        except (TimeoutError, OSError) as error:
            logger.warning("the cluster was left without a farewell: %s", error)
        self._end_loop()

    def _call(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _open(self) -> Any:
        try:
            import dask
            from distributed import Client
        except ImportError as error:
            raise ConfigurationError(
                f"--cluster needs dask: pip install 'sidelight[cluster]' ({error})"
            ) from error
        # Chunks are meant to be what dask calls a large graph.
        dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"})
        address = self._settings.address
        try:
            client = await Client(
                address,
                security=_security(self._settings),
                asynchronous=True,
                set_as_default=False,
                timeout=CONNECT_S,
                name="sidelight",
            )
        except (OSError, TimeoutError, ssl.SSLError) as error:
            raise ConfigurationError(
                f"--cluster {address}: no dask scheduler can be reached there: {error}"
            ) from error
        try:
            await self._wait_for_workers(client)
            await self._compare(client)
        except BaseException:
            await client.close(timeout=1)
            raise
        self._keep(self._watch(client))
        return client

    async def _wait_for_workers(self, client: Any) -> None:
        try:
            await client.wait_for_workers(1, timeout=_WORKERS_S)
        except TimeoutError as error:
            raise ConfigurationError(
                f"--cluster {self._settings.address}: no worker has joined its scheduler within "
                f"{_WORKERS_S:.0f} s (dask worker {self._settings.address})"
            ) from error
        self.slots = max(1, await _count_threads(client))

    async def _compare(self, client: Any) -> None:
        """Refuse a cluster of other versions; say where another processor may differ."""
        ours = installation()
        try:
            scheduler = await client.run_on_scheduler(describe_installation)
            workers = await client.run(describe_installation, on_error="return")
        except Exception as error:
            raise ConfigurationError(self._unusable("its scheduler", error)) from error
        for where, theirs in {"its scheduler": scheduler, **workers}.items():
            if isinstance(theirs, BaseException):
                raise ConfigurationError(self._unusable(where, theirs)) from theirs
            _check(ours, theirs, f"--cluster {self._settings.address}: {where}")

    def _unusable(self, where: str, error: BaseException) -> str:
        text = " ".join(str(error).split())[:300]
        return (
            f"--cluster {self._settings.address}: {where} cannot import this Sidelight "
            f"({type(error).__name__}: {text}): install the same one there, with its extras "
            "analyzer and cluster, and -c constraints.txt"
        )

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _submit(self, number: int, header: bytes, payloads: Sequence[bytes]) -> None:
        if self._lost:
            return
        # As arrays, because those travel beside the pickled task, without a copy.
        arrays = [np.frombuffer(payload, np.uint8) for payload in payloads]
        try:
            future = self._client.submit(
                run_chunk, header, *arrays, key=f"{self._name}-{number}", pure=False
            )
        except Exception as error:  # the stage's edge: the chunk runs on this machine then
            self._on_answer(number, error)
            return
        self._futures[number] = future
        self._keep(self._collect(number, future))

    async def _collect(self, number: int, future: Any) -> None:
        answer: Answer
        try:
            answer = await future
        except _GONE as error:
            if number in self._futures and not self._closed:
                self._lose(f"the connection to its scheduler is lost ({error})")
            return
        except Exception as error:  # dask gave it up: its workers died too often, say
            answer = error
        if self._futures.pop(number, None) is not None:
            self._on_answer(number, answer)

    def _release(self, number: int) -> None:
        future = self._futures.pop(number, None)
        if future is not None:
            future.release()

    async def _watch(self, client: Any) -> None:
        """Know how many threads there are, and notice when the scheduler, or all of them, go."""
        without_since: float | None = None
        while not (self._closed or self._lost):
            await asyncio.sleep(_LOOK_S)
            try:
                if client.status != "running":
                    raise OSError("the connection is lost")
                threads = await asyncio.wait_for(_count_threads(client), _ANSWER_S)
            except (OSError, TimeoutError) as error:
                self._lose(f"its scheduler does not answer any more ({error})")
                return
            now = self._loop.time()
            without_since = None if threads else without_since or now
            self.slots = max(1, threads)
            if without_since is not None and now - without_since > _WITHOUT_WORKERS_S:
                self._lose(f"it has had no worker for {_WITHOUT_WORKERS_S:.0f} s")

    def _lose(self, why: str) -> None:
        if not (self._lost or self._closed):
            self._lost = True
            self._on_lost(why)

    async def _leave(self) -> None:
        for task in tuple(self._tasks):
            task.cancel()
        self._futures.clear()
        await self._client.close(timeout=1)


async def _count_threads(client: Any) -> int:
    about = await client.scheduler.identity(n_workers=0)
    return int(about["total_threads"])


def _check(ours: Mapping[str, str], theirs: Mapping[str, str], where: str) -> None:
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
