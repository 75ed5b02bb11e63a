"""`serve`: sockets, workers and the ingest loop of one process, from start to end."""

import logging
import resource
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from analyzer_service.listening import listen, url_of
from analyzer_service.metrics.health import HealthLog
from analyzer_service.metrics.pages import Pages
from analyzer_service.metrics.readiness import OutputProbe, Readiness
from analyzer_service.metrics.server import HttpServer
from analyzer_service.metrics.snapshot import Board
from analyzer_service.pipeline.settings import PipelineSettings
from analyzer_service.receive.loop import IngestLoop
from analyzer_service.receive.machines import make_workers
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.receive.seams import SessionSettings
from analyzer_service.receive.signals import Deadline, drain_s, ended_by_signals
from analyzer_service.settings import ServeSettings, check_output_dir
from analyzer_service.sinks.notifier import check_notify
from analyzer_service.workers import Workers
from shared.transport.server import RouterPair

logger = logging.getLogger(__name__)

_MOST_FILES = 65536


def serve(settings: ServeSettings) -> None:
    """Receive runs until a signal, or the end of the first run when asked so.

    Raises
    ------
    ConfigurationError
        If an address cannot be bound, the output folder cannot be written, the cluster cannot be
        used, or alerts are to be sent and what sends them is not installed.
    """
    check_notify(settings.alerts.notify)
    _allow_files()
    board = Board()
    with (
        closing(Deadline(settings.grace_s)) as deadline,
        closing(make_workers(settings.workers, settings.cluster)) as workers,
    ):
        router, listener, output_dir = _claim(settings)
        loop = _make_loop(settings, router, workers, output_dir, board)
        with (
            ended_by_signals(loop.stop, deadline),
            closing(OutputProbe(output_dir)) as output,
            _watched(
                settings,
                listener,
                Pages(
                    board,
                    Readiness(board, output, settings.least_free_bytes, workers.failing),
                    workers.counts,
                ),
            ),
            closing(HealthLog(board, output_dir, workers.counts)),
        ):
            logger.info(
                "listening on %s and %s (%s), writing to %s, W&B %s",
                settings.address.ctl,
                settings.address.bulk,
                _who(settings),
                output_dir,
                settings.wandb_mode,
            )
            if settings.cluster is not None:
                logger.info("frames are analyzed by the cluster %s", settings.cluster.address)
            if settings.own is not None:
                logger.info("own analysis: %s", settings.own.identity)
            loop.run(grace_s=drain_s(settings.grace_s))
    logger.info("stopped")


def _claim(settings: ServeSettings) -> tuple[RouterPair, socket.socket | None, Path]:
    """Sockets, the one for metrics if there is one, and the output folder; all of it or nothing."""
    with ExitStack() as stack:
        # Twice as many as trainers: one that comes back is not kept out by its dead connection.
        router = RouterPair(
            settings.address, settings.keys, most_connections=2 * settings.max_producers
        )
        stack.callback(router.close)
        listener = None if settings.metrics is None else listen(settings.metrics)
        if listener is not None:
            stack.callback(listener.close)
        output_dir = check_output_dir(settings.output_dir)
        stack.pop_all()
    return router, listener, output_dir


def _make_loop(
    settings: ServeSettings, router: RouterPair, workers: Workers, output_dir: Path, board: Board
) -> IngestLoop:
    return IngestLoop(
        router,
        workers,
        RunsSettings(
            output_dir=output_dir,
            wandb_mode=settings.wandb_mode,
            project=settings.project,
            record=settings.record,
            record_limit_bytes=settings.record_limit_bytes,
            producer_timeout_s=settings.producer_timeout_s,
            notify=settings.alerts.notify,
            pipeline=PipelineSettings(
                stain_vectors=settings.stain_vectors,
                nuclei_outline=settings.nuclei_outline,
                alerts=settings.alerts,
                own=settings.own,
                own_timeout_s=settings.own_timeout_s,
                keep_dashboards=settings.keep_dashboards,
                frames_limit_bytes=settings.frames_limit_bytes,
            ),
        ),
        SessionSettings(
            producer_timeout_s=settings.producer_timeout_s,
            max_producers=settings.max_producers,
        ),
        once=settings.once,
        parent_pid=settings.parent_pid,
        board=board,
    )


@contextmanager
def _watched(
    settings: ServeSettings, listener: socket.socket | None, pages: Pages
) -> Iterator[None]:
    """Metrics are served meanwhile, if they are wanted and a port was free."""
    if listener is None:
        if settings.metrics is not None:
            ports = settings.metrics.ports
            logger.warning(
                "metrics are not served: ports %d to %d of %s are in use (see --metrics)",
                *(ports[0], ports[-1], settings.metrics.host),
            )
        yield
        return
    open_to_all = settings.metrics is not None and not settings.metrics.loopback
    who = " (PLAINTEXT, open to anyone)" if open_to_all else ""
    logger.info("metrics at %s%s", url_of(listener, "/metrics"), who)
    with closing(HttpServer(listener, pages)):
        yield


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
