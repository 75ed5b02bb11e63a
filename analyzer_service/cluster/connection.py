"""The connection to a dask scheduler: a thread and an event loop, on which all of dask runs.

The ingest loop hands chunks over and takes answers back; what dask does in between (pickling,
sockets, retries) costs it nothing. dask runs a chunk again when the worker that had it is gone.
"""

import asyncio
import concurrent.futures
import logging
import threading
import uuid
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analyzer_service.cluster.admission import (
    CONNECT_S,
    compare_scheduler,
    compare_workers,
    open_client,
)
from analyzer_service.cluster.roster import SILENT_S, Roster, keys_of
from analyzer_service.cluster.serving import run_chunk
from analyzer_service.cluster.settings import ClusterSettings
from shared.errors import ConfigurationError

logger = logging.getLogger(__name__)

CHECK_S: Final = 60.0
LOOK_S: Final = 1.0
ALL_WORKERS_S: Final = 5.0
ANSWER_S: Final = 15.0
PATIENCE_S: Final = 5.0
"""For so long a cluster without a worker is given chunks: one that died is often started again."""
_CLOSE_S: Final = 5.0
_GONE: Final = (asyncio.CancelledError, concurrent.futures.CancelledError)

Answer = bytes | BaseException


class WorkerSilentError(Exception):
    """The dask worker that has the chunk gives no sign of life."""


@dataclass(frozen=True)
class Listener:
    """Who hears from a connection, on its thread: answers by number, why it ended, and changes."""

    answered: Callable[[int, Answer], None]
    lost: Callable[["Connection", str], None]
    changed: Callable[[], None]


class Connection:
    """A dask scheduler, and those of its workers that have the installation of this machine.

    `slots` are threads there that a chunk can be sent to; it is 0 while there is no worker. `lost`
    tells that it can be used no more.
    """

    def __init__(self, settings: ClusterSettings, listener: Listener) -> None:
        self._settings = settings
        self._listener = listener
        self._name = f"sidelight-{uuid.uuid4().hex[:12]}"
        self._client: Any = None
        self._roster = Roster()
        self._out: dict[int, tuple[Any, asyncio.Task[None]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._asked: set[str] = set()
        self._closing = threading.Lock()
        self._closed = False
        self._usable_at: float | None = None
        self._all_seen_at = float("-inf")
        self._threads_told = 0
        self.lost = False
        self.slots = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster", daemon=True)
        self._thread.start()

    def connect(self, *, strict: bool) -> None:
        """Wait until it can be used; `close` from another thread ends that.

        Raises
        ------
        ConfigurationError
            If nobody answers, or the scheduler has other versions than this machine; if it is
            `strict`, one of its workers, too. The connection is closed then.
        """
        where = f"--cluster {self._settings.address}"
        opening = asyncio.run_coroutine_threadsafe(self._open(strict), self._loop)
        try:
            opening.result(CONNECT_S + CHECK_S)
        except (TimeoutError, concurrent.futures.CancelledError) as error:
            self.close()
            text = f"{where}: it did not say in time what is installed there"
            raise ConfigurationError(text) from error
        except BaseException:
            self.close()
            raise

    def send(self, number: int, header: bytes, payloads: Sequence[bytes]) -> None:
        """Have a chunk run; its answer comes by this number."""
        self._loop.call_soon_threadsafe(self._submit, number, header, payloads)

    def cancel(self, number: int) -> None:
        """Let a chunk be dropped, running or not; nothing comes of it any more."""
        self._loop.call_soon_threadsafe(self._release, number)

    def close(self) -> None:
        """Drop what runs, and leave the cluster as it is for others; may be repeated."""
        with self._closing:
            if self._closed:
                return
            self._closed = True
        try:
            asyncio.run_coroutine_threadsafe(self._leave(), self._loop).result(_CLOSE_S)
        except (TimeoutError, OSError) as error:
            logger.warning("the cluster was left without a farewell: %s", error)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_CLOSE_S)
        if not self._thread.is_alive():
            self._loop.close()

    async def _open(self, strict: bool) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            self._client = await open_client(self._settings)
            await compare_scheduler(self._client, self._settings.address)
            await self._compare(await self._see_all(), strict=strict)
            self._count()
            if not self.slots:
                logger.warning(
                    "the cluster %s has no worker that can be used: until one joins, frames are "
                    "analyzed on this machine",
                    self._settings.address,
                )
            self._keep(self._watch())
        finally:
            self._tasks.discard(task)

    def _keep(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _submit(self, number: int, header: bytes, payloads: Sequence[bytes]) -> None:
        if self.lost or self._closed:
            return
        only = self._roster.only
        where = {} if only is None else {"workers": only, "allow_other_workers": True}
        try:
            # As arrays, because those travel beside the pickled task, without a copy.
            arrays = [np.frombuffer(payload, np.uint8) for payload in payloads]
            key = f"{self._name}-{number}"
            future = self._client.submit(run_chunk, header, *arrays, key=key, pure=False, **where)
        except Exception as error:  # the stage's edge: the chunk runs on this machine then
            self._listener.answered(number, error)
            return
        self._out[number] = future, self._keep(self._collect(number, future))

    async def _collect(self, number: int, future: Any) -> None:
        answer: Answer
        try:
            answer = await future
        except _GONE as error:
            if number in self._out:  # nobody dropped it
                self._lose(f"the connection to its scheduler is lost ({error})")
            return
        except Exception as error:  # dask gave it up: its workers died too often, say
            answer = error
        self._take_back(number, answer)

    def _take_back(self, number: int, answer: Answer) -> None:
        if self._release(number) and not self.lost:
            self._listener.answered(number, answer)

    def _release(self, number: int) -> bool:
        future, task = self._out.pop(number, (None, None))
        if future is None or task is None:
            return False
        future.release()  # not once the last traceback lets go of it
        if task is not asyncio.current_task(self._loop):
            task.cancel()
        return True

    async def _watch(self) -> None:
        """Know whom chunks can be sent to, and notice when the scheduler goes."""
        while not (self._closed or self.lost):
            await asyncio.sleep(LOOK_S)
            try:
                if self._client.status != "running":
                    raise OSError("the connection is lost")
                await asyncio.wait_for(self._look(), ANSWER_S)
            except Exception as error:  # whatever it is: unseen, everything would wait for ever
                said = str(error) or type(error).__name__
                self._lose(f"its scheduler does not answer any more ({said})")

    async def _look(self) -> None:
        about = await self._client.scheduler.identity(n_workers=0)
        stale = self._loop.time() - self._all_seen_at > ALL_WORKERS_S
        if stale or about["total_threads"] != self._threads_told:
            new = [each for each in await self._see_all() if each not in self._asked]
            if new:
                self._keep(self._compare(new, strict=False))
            if self._roster.silent:
                await self._take_from_silent()
        self._count()

    async def _see_all(self) -> list[str]:
        """Who is there that has not been compared yet."""
        self._all_seen_at = self._loop.time()
        about = await self._client.scheduler.identity(n_workers=-1)
        self._threads_told = about["total_threads"]
        return self._roster.see(about["workers"], self._loop.time())

    async def _compare(self, workers: Sequence[str], *, strict: bool) -> None:
        if not workers:
            return
        self._asked.update(workers)
        try:
            asked = compare_workers(self._client, self._settings.address, workers)
            for worker, why in (await asyncio.wait_for(asked, CHECK_S)).items():
                if why is not None and strict:
                    raise why
                if why is not None:
                    logger.warning("%s; until then it is given nothing", why)
                self._roster.note(worker, fits=why is None)
        except ConfigurationError:
            raise
        except Exception as error:  # the stage's edge: they are asked again
            logger.warning("workers of the cluster did not say what they have: %s", error)
        finally:
            self._asked.difference_update(workers)

    async def _take_from_silent(self) -> None:
        silent = self._roster.silent
        processing = await self._client.scheduler.processing(workers=silent)
        for key in keys_of(processing, self._name):
            error = WorkerSilentError(f"its dask worker is silent for {SILENT_S:.0f} s")
            self._take_back(int(key.rpartition("-")[2]), error)

    def _count(self) -> None:
        threads, now = self._roster.threads, self._loop.time()
        if threads:
            self._usable_at = now
        waits = self._usable_at is not None and now - self._usable_at < PATIENCE_S
        before, self.slots = self.slots, threads or int(waits)
        if self.slots != before:
            self._listener.changed()

    def _lose(self, why: str) -> None:
        if not (self.lost or self._closed):
            self.lost = True
            self._listener.lost(self, why)

    async def _leave(self) -> None:
        self._out.clear()
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.close(timeout=1)
