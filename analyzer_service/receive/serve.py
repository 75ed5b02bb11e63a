"""`serve`: sockets, workers and the ingest loop of one process, from start to end."""

import logging
import os
import resource
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from types import FrameType

from analyzer_service.receive.loop import IngestLoop
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.receive.seams import SessionSettings
from analyzer_service.settings import ServeSettings, check_output_dir
from analyzer_service.workers import PoolWorkers
from shared.errors import ConfigurationError
from shared.transport.server import RouterPair

logger = logging.getLogger(__name__)

_MOST_FILES = 65536
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def serve(settings: ServeSettings) -> None:
    """Receive runs until a signal, or the end of the first run when asked so.

    Raises
    ------
    ConfigurationError
        If the address cannot be bound or the output folder cannot be written.
    """
    _allow_files()
    # Twice as many as trainers: one that comes back must not be kept out by its dead connection.
    router = RouterPair(
        settings.address, settings.keys, most_connections=2 * settings.max_producers
    )
    try:
        output_dir = check_output_dir(settings.output_dir)
    except ConfigurationError:
        router.close()
        raise
    with closing(PoolWorkers(settings.workers)) as workers:
        loop = IngestLoop(
            router,
            workers,
            RunsSettings(
                output_dir=output_dir,
                wandb_mode=settings.wandb_mode,
                project=settings.project,
                record=settings.record,
                producer_timeout_s=settings.producer_timeout_s,
            ),
            SessionSettings(
                producer_timeout_s=settings.producer_timeout_s,
                max_producers=settings.max_producers,
            ),
            once=settings.once,
            parent_pid=settings.parent_pid,
        )
        with _stopped_by_signals(loop):
            logger.info(
                "listening on %s and %s (%s), writing to %s, W&B %s",
                settings.address.ctl,
                settings.address.bulk,
                _who(settings),
                output_dir,
                settings.wandb_mode,
            )
            loop.run(grace_s=settings.grace_s)
    logger.info("stopped")


def _allow_files() -> None:
    """Let this process have as many open files as the system lets it: a connection is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _who(settings: ServeSettings) -> str:
    if settings.keys is not None:
        return f"encrypted, {len(settings.keys.authorized)} authorized keys"
    return "this machine only" if settings.address.loopback else "PLAINTEXT, open to anyone"


@contextmanager
def _stopped_by_signals(loop: IngestLoop) -> Iterator[None]:
    """The first signal lets the loop end in order, the second ends the process at once."""
    seen: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        del frame
        if seen:
            os._exit(128 + number)
        seen.append(number)
        loop.stop()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
