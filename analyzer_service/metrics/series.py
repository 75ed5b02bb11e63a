"""The time series by what they are about; `docs/monitoring.md` says what to do with them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from analyzer_service.cluster.counts import ClusterCounts
from analyzer_service.metrics.snapshot import Board, ProducerCounts, RunCounts, Said, Snapshot
from analyzer_service.workers.pool import WorkerCounts
from shared.messages import Totals

T = TypeVar("T")
Labels = tuple[str, ...]
Family = CounterMetricFamily | GaugeMetricFamily


@dataclass(frozen=True)
class Series(Generic[T]):
    """One number of a `T`; its name ends in ``_total`` if it only grows.

    `value` gives None where there is nothing to say.
    """

    name: str
    help: str
    value: Callable[[T], float | None]

    def family(self, labels: Labels, things: Iterable[tuple[Labels, T]]) -> Family:
        """The numbers of `things`, each with the values of `labels`."""
        made = family(self.name, self.help, labels)
        for values, thing in things:
            number = self.value(thing)
            if number is not None:
                made.add_metric(values, number)
        return made


def family(name: str, text: str, labels: Labels = ()) -> Family:
    """An empty family: a counter if its name says so, else a gauge."""
    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
    return kind(name, text, labels=labels)


LOOP: Final = [
    Series[Board](
        "sidelight_loop_last_turn_age_seconds",
        "Time since the ingest loop last came round.",
        lambda board: board.still_s,
    ),
]
ANALYZER: Final = [
    Series[Snapshot](
        "sidelight_snapshot_timestamp_seconds",
        "When these numbers were taken, since the Unix epoch.",
        lambda shot: shot.taken_at_s,
    ),
    Series[Snapshot](
        "sidelight_producers_connected",
        "Trainer processes that are heard.",
        lambda shot: shot.producers_connected,
    ),
    Series[Snapshot](
        "sidelight_producers_left_out",
        "Producers without series of their own here, because there are too many.",
        lambda shot: shot.producers_left_out,
    ),
    Series[Snapshot](
        "sidelight_messages_malformed_total",
        "Messages that were none of the contract.",
        lambda shot: shot.malformed,
    ),
    Series[Snapshot](
        "sidelight_messages_ignored_total",
        "Messages that were dropped unread, of peers that flood.",
        lambda shot: shot.ignored,
    ),
    Series[Snapshot](
        "sidelight_exceptions_contained_total",
        "Exceptions in the ingest loop that cost one message or one snapshot.",
        lambda shot: shot.contained,
    ),
    Series[Snapshot](
        "sidelight_output_free_bytes",
        "Room in the file system of the output folder.",
        lambda shot: shot.free_bytes,
    ),
]
WORKERS: Final = [
    Series[WorkerCounts](
        "sidelight_worker_processes",
        "Processes of this machine that analyze and draw.",
        lambda counts: counts.processes,
    ),
    Series[WorkerCounts](
        "sidelight_worker_calls",
        "Calls of workers that run or wait, here and on the cluster.",
        lambda counts: counts.calls,
    ),
    Series[WorkerCounts](
        "sidelight_workers_lost_total",
        "Processes of this machine that ended, or were ended, before they gave a result.",
        lambda counts: counts.lost,
    ),
]
CLUSTER: Final = [
    Series[ClusterCounts](
        "sidelight_cluster_up",
        "1 while the scheduler of --cluster is connected.",
        lambda counts: not counts.cluster_lost,
    ),
    Series[ClusterCounts](
        "sidelight_cluster_threads",
        "Threads of its workers that are given chunks of frames.",
        lambda counts: counts.cluster_slots,
    ),
    Series[ClusterCounts](
        "sidelight_cluster_chunks_out",
        "Chunks that were sent there and have not come back.",
        lambda counts: counts.cluster_out,
    ),
    Series[ClusterCounts](
        "sidelight_cluster_chunks_total",
        "Chunks that were answered there.",
        lambda counts: counts.cluster_chunks,
    ),
    Series[ClusterCounts](
        "sidelight_cluster_calls_total",
        "Calls, mostly frames, that were answered there.",
        lambda counts: counts.cluster_calls,
    ),
    Series[ClusterCounts](
        "sidelight_cluster_calls_brought_back_total",
        "Calls that were meant for the cluster and ran on this machine.",
        lambda counts: counts.brought_back,
    ),
    Series[ClusterCounts](
        "sidelight_cluster_losses_total",
        "Times that the cluster was given up.",
        lambda counts: counts.cluster_losses,
    ),
]
RUN: Final = [
    Series[RunCounts](
        "sidelight_batches_released_total",
        "Rows of batches that were released in order, superseded ones included.",
        lambda run: run.released,
    ),
    Series[RunCounts](
        "sidelight_records_uncommitted",
        "Records that were taken in and wait for the next commit.",
        lambda run: run.records_uncommitted,
    ),
    Series[RunCounts](
        "sidelight_frames_waiting",
        "Frames that are being analyzed or wait for a worker.",
        lambda run: run.frames_waiting,
    ),
    Series[RunCounts](
        "sidelight_work_lag_seconds",
        "Age of the oldest frame at work; 0 when there is none.",
        lambda run: run.work_lag_s,
    ),
    Series[RunCounts](
        "sidelight_store_failing",
        "1 while results cannot be written; nothing is acknowledged then.",
        lambda run: run.store_failing,
    ),
    Series[RunCounts](
        "sidelight_database_bytes",
        "Size of metrics.sqlite and its write-ahead log.",
        lambda run: run.database_bytes,
    ),
    Series[RunCounts](
        "sidelight_frames_folder_bytes",
        "Size of the frames that are kept.",
        lambda run: run.frames_bytes,
    ),
    Series[RunCounts](
        "sidelight_wandb_rows_total",
        "Rows that were handed to W&B.",
        lambda run: run.wandb.rows,
    ),
    Series[RunCounts](
        "sidelight_wandb_images_total",
        "Dashboards that were handed to W&B.",
        lambda run: run.wandb.images,
    ),
]
PRODUCER: Final = [
    Series[ProducerCounts](
        "sidelight_producer_connected",
        "1 while this producer is heard.",
        lambda producer: producer.connected,
    ),
    Series[ProducerCounts](
        "sidelight_producer_last_heard_timestamp_seconds",
        "When it was last heard, since the Unix epoch.",
        lambda producer: producer.heard_at_s,
    ),
    Series[ProducerCounts](
        "sidelight_records_committed_total",
        "Critical records that are committed: the committed cseq.",
        lambda producer: producer.committed,
    ),
    Series[ProducerCounts](
        "sidelight_records_acked_total",
        "Critical records whose commit the producer was told of: the acknowledged cseq.",
        lambda producer: producer.acked,
    ),
    Series[ProducerCounts](
        "sidelight_ingest_lag_seconds",
        "Age of its last record when it came.",
        lambda producer: producer.ingest_lag_s,
    ),
    Series[ProducerCounts](
        "sidelight_frames_waiting_bytes",
        "Size of its frames that were taken in and are not committed.",
        lambda producer: producer.waiting_bytes,
    ),
]
SAID: Final = [
    Series[Said](
        "sidelight_producer_books_timestamp_seconds",
        "When it said these books of its own, since the Unix epoch.",
        lambda said: said.at_s,
    ),
    Series[Said](
        "sidelight_producer_records_offered_total",
        "Critical records that it had to deliver, as it counts them.",
        lambda said: said.books.records.offered,
    ),
    Series[Said](
        "sidelight_producer_records_committed_total",
        "Critical records that it knows to be committed.",
        lambda said: said.books.records.committed,
    ),
    Series[Said](
        "sidelight_producer_records_lost_total",
        "Critical records that it could not keep.",
        lambda said: said.books.records.lost,
    ),
    Series[Said](
        "sidelight_producer_records_pending",
        "Critical records that it keeps until they are acknowledged.",
        lambda said: said.books.records.pending,
    ),
    Series[Said](
        "sidelight_producer_waiting_bytes",
        "Size of the frames and records that wait in its memory.",
        lambda said: said.books.waiting_bytes,
    ),
]


def frame_series(prefix: str, whose: str) -> list[Series[Totals]]:
    """Books of a stream; offered = delivered + the sum of dropped + pending."""
    return [
        Series(
            f"{prefix}_frames_offered_total",
            f"Frames that were offered, as {whose} counts them.",
            lambda totals: totals.offered,
        ),
        Series(
            f"{prefix}_frames_delivered_total",
            f"Frames that were delivered, as {whose} counts them.",
            lambda totals: totals.delivered,
        ),
        Series(
            f"{prefix}_frames_pending",
            f"Frames that are neither delivered nor dropped, as {whose} counts them.",
            lambda totals: totals.pending,
        ),
    ]
