"""The board as Prometheus metrics."""

import platform
from collections.abc import Callable, Iterator, Mapping
from importlib import metadata
from typing import Final, get_args

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from analyzer_service.alerts.titles import TITLES
from analyzer_service.cluster.counts import ClusterCounts
from analyzer_service.commit.books import UNDECODABLE
from analyzer_service.commit.views import Status
from analyzer_service.metrics.series import (
    ANALYZER,
    CLUSTER,
    LOOP,
    PRODUCER,
    RUN,
    SAID,
    WORKERS,
    Family,
    Labels,
    Series,
    family,
    frame_series,
)
from analyzer_service.metrics.snapshot import Board, RunCounts
from analyzer_service.sinks.report_wording import FAILURES
from analyzer_service.sinks.wandb_outcome import WandbState
from analyzer_service.workers.pool import WorkerCounts
from shared.messages import SCHEMA_VERSION, DropReason, Totals
from shared.protocol import PROTOCOL_VERSION, dotted

Streams = list[tuple[Labels, Totals]]
Drops = list[tuple[Labels, Mapping[str, int]]]

_REASONS: Final = get_args(DropReason)
_OTHER: Final = "other"


def make_registry(
    board: Board, workers: Callable[[], WorkerCounts] | None = None
) -> CollectorRegistry:
    """A registry of its own: what the loop left on `board`, the `workers`, and this process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(BoardCollector(board))
    if workers is not None:
        registry.register(WorkerCollector(workers))
    ProcessCollector(registry=registry)
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """Everything in Prometheus's text format."""
    return generate_latest(registry)


class BoardCollector(Collector):
    """Reads the latest snapshot whenever it is asked, on any thread."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """Every family, of one snapshot."""
        shot = self._board.latest
        yield _build_info()
        yield from (series.family((), [((), self._board)]) for series in LOOP)
        yield from (series.family((), [((), shot)]) for series in ANALYZER)
        yield from _runs(shot.runs)
        yield from _producers(shot.runs)
        yield from _frames(shot.runs)


class WorkerCollector(Collector):
    """Counts the workers whenever it is asked, on any thread; of a cluster only if there is one."""

    def __init__(self, workers: Callable[[], WorkerCounts]) -> None:
        self._workers = workers

    def collect(self) -> Iterator[Metric]:
        """Every family, of one look."""
        counts = self._workers()
        yield from (series.family((), [((), counts)]) for series in WORKERS)
        if isinstance(counts, ClusterCounts):
            yield from (series.family((), [((), counts)]) for series in CLUSTER)


def _build_info() -> Metric:
    facts = {
        "version": _version(),
        "protocol": dotted(PROTOCOL_VERSION),
        "schema": dotted(SCHEMA_VERSION),
        "python": platform.python_version(),
    }
    return InfoMetricFamily("sidelight_build", "Which Sidelight this is.", value=facts)


def _version() -> str:
    try:
        return metadata.version("sidelight")
    except metadata.PackageNotFoundError:
        return "unknown"


def _runs(runs: tuple[RunCounts, ...]) -> Iterator[Metric]:
    things = [((run.name,), run) for run in runs]
    info = family("sidelight_run_info", "The run's id, as a label; always 1.", ("run", "run_id"))
    for run in runs:
        info.add_metric((run.name, run.run_id), 1)
    yield info
    yield _states(
        "sidelight_run_status",
        "1 for the status that the run has.",
        "status",
        {(run.name,): run.status for run in runs},
        get_args(Status),
    )
    yield _states(
        "sidelight_wandb_state",
        "1 for where the run's rows go at W&B.",
        "state",
        {(run.name,): run.wandb.state for run in runs},
        get_args(WandbState),
    )
    yield from (series.family(("run",), things) for series in RUN)
    failures = family(
        "sidelight_failures_total", "Failures that were contained, by kind.", ("run", "kind")
    )
    for run in runs:
        for kind in {**dict.fromkeys(FAILURES), **dict.fromkeys(run.failures)}:
            failures.add_metric((run.name, kind), run.failures.get(kind, 0))
    yield failures
    yield _alerts(runs)
    yield _rank_waits(runs)


def _rank_waits(runs: tuple[RunCounts, ...]) -> Metric:
    waited = family(
        "sidelight_rank_waited_seconds",
        "How long rows of other ranks have waited for this one; 0 while they do not.",
        ("run", "producer"),
    )
    for run in runs:
        for name in {**dict.fromkeys(each.name for each in run.producers), **run.waits_for}:
            waited.add_metric((run.name, name), run.waits_for.get(name, 0.0))
    return waited


def _alerts(runs: tuple[RunCounts, ...]) -> Metric:
    active = family(
        "sidelight_alerts_active",
        "Alerts that fired and have not cleared.",
        ("run", "alert"),
    )
    for run in runs:
        for name in TITLES:
            active.add_metric((run.name, name), run.alerts.get(name, 0))
    return active


def _producers(runs: tuple[RunCounts, ...]) -> Iterator[Metric]:
    things = [((run.name, producer.name), producer) for run in runs for producer in run.producers]
    said = [(labels, producer.said) for labels, producer in things if producer.said is not None]
    labels = ("run", "producer")
    yield from (series.family(labels, things) for series in PRODUCER)
    yield from (series.family(labels, said) for series in SAID)


def _frames(runs: tuple[RunCounts, ...]) -> Iterator[Metric]:
    ours: Streams = []
    our_drops: Drops = []
    theirs: Streams = []
    their_drops: Drops = []
    for run in runs:
        for producer in run.producers:
            for stream, counts in producer.streams.items():
                labels = (run.name, producer.name, stream)
                ours.append((labels, counts.totals))
                our_drops.append((labels, counts.drops))
            if producer.said is None:
                continue
            books = producer.said.books
            for stream, totals in books.frames.items():
                labels = (run.name, producer.name, stream)
                theirs.append((labels, totals))
                their_drops.append((labels, books.drops.get(stream, {})))
    yield from _books("sidelight", "the analyzer", ours, our_drops, (*_REASONS, UNDECODABLE))
    yield from _books("sidelight_producer", "their producer", theirs, their_drops, _REASONS)


def _books(
    prefix: str, whose: str, streams: Streams, drops: Drops, reasons: tuple[str, ...]
) -> Iterator[Metric]:
    labels = ("run", "producer", "stream")
    series: list[Series[Totals]] = frame_series(prefix, whose)
    yield from (each.family(labels, streams) for each in series)
    dropped = family(
        f"{prefix}_frames_dropped_total",
        f"Frames that were dropped, by reason, as {whose} counts them.",
        (*labels, "reason"),
    )
    for values, found in drops:
        for reason, count in _by_known_reason(found, reasons).items():
            dropped.add_metric((*values, reason), count)
    yield dropped


def _by_known_reason(drops: Mapping[str, int], reasons: tuple[str, ...]) -> dict[str, int]:
    """Counts of every known reason, 0 too; what a newer producer may name is one of them."""
    known = {reason: drops.get(reason, 0) for reason in reasons}
    other = sum(count for reason, count in drops.items() if reason not in known)
    return known | ({_OTHER: other} if other else {})


def _states(
    name: str, text: str, label: str, found: Mapping[Labels, str], possible: tuple[str, ...]
) -> Family:
    made = family(name, text, ("run", label))
    for labels, state in found.items():
        for each in possible:
            made.add_metric((*labels, each), each == state)
    return made
