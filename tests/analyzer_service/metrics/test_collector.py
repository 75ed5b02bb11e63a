"""What stands in /metrics, read back by the parser that comes with prometheus-client."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from analyzer_service.cluster.counts import ClusterCounts
from analyzer_service.metrics.collector import make_registry, render
from analyzer_service.metrics.snapshot import Board
from analyzer_service.workers.pool import WorkerCounts
from tests.analyzer_service.metrics.boards import make_board, make_producer, make_run

PAGE = Path(__file__).parents[3] / "docs" / "monitoring.md"
Labels = dict[str, str]
HERE = {"size": 5, "processes": 2, "busy": 1, "calls": 14, "lost": 3}
CLUSTER = ClusterCounts(
    **HERE,
    cluster_slots=4,
    cluster_out=8,
    cluster_chunks=20,
    cluster_calls=200,
    brought_back=6,
    cluster_losses=1,
)
DEMO = {"run": "demo"}
RANK0 = {**DEMO, "producer": "rank0"}
TRAIN = {**RANK0, "stream": "train"}


def text_of(board: Board, workers: WorkerCounts = CLUSTER) -> str:
    return render(make_registry(board, lambda: workers)).decode()


def read(board: Board) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Every sample by name and labels; fails on one that stands there twice."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for family in text_string_to_metric_families(text_of(board)):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def value(board: Board, name: str, **labels: str) -> float:
    return read(board)[name, frozenset(labels.items())]


@pytest.mark.parametrize(
    ("name", "labels", "expected"),
    [
        ("sidelight_frames_offered_total", TRAIN, 40),
        ("sidelight_frames_delivered_total", TRAIN, 30),
        ("sidelight_frames_dropped_total", {**TRAIN, "reason": "queue_full"}, 5),
        ("sidelight_frames_dropped_total", {**TRAIN, "reason": "undecodable"}, 2),
        ("sidelight_frames_dropped_total", {**TRAIN, "reason": "closed"}, 0),
        ("sidelight_frames_pending", TRAIN, 3),
        ("sidelight_producer_frames_offered_total", TRAIN, 44),
        ("sidelight_producer_frames_delivered_total", TRAIN, 29),
        ("sidelight_producer_frames_dropped_total", {**TRAIN, "reason": "queue_full"}, 5),
        ("sidelight_producer_frames_dropped_total", {**TRAIN, "reason": "other"}, 1),
        ("sidelight_producer_frames_pending", TRAIN, 9),
        ("sidelight_producer_frames_offered_total", {**TRAIN, "stream": "val"}, 2),
        ("sidelight_producer_books_timestamp_seconds", RANK0, 1_760_000_000.5),
        ("sidelight_producer_records_offered_total", RANK0, 52),
        ("sidelight_producer_records_committed_total", RANK0, 45),
        ("sidelight_producer_records_lost_total", RANK0, 1),
        ("sidelight_producer_records_pending", RANK0, 6),
        ("sidelight_producer_waiting_bytes", RANK0, 4096),
        ("sidelight_records_committed_total", RANK0, 47),
        ("sidelight_records_acked_total", RANK0, 46),
        ("sidelight_producer_connected", RANK0, 1),
        ("sidelight_producer_last_heard_timestamp_seconds", RANK0, 1_760_000_001.25),
        ("sidelight_ingest_lag_seconds", RANK0, 0.25),
        ("sidelight_frames_waiting_bytes", RANK0, 1024),
        ("sidelight_batches_released_total", DEMO, 33),
        ("sidelight_records_uncommitted", DEMO, 4),
        ("sidelight_frames_waiting", DEMO, 3),
        ("sidelight_work_lag_seconds", DEMO, 1.5),
        ("sidelight_store_failing", DEMO, 0),
        ("sidelight_failures_total", {**DEMO, "kind": "analysis"}, 2),
        ("sidelight_failures_total", {**DEMO, "kind": "unexplained_frames"}, 0),
        ("sidelight_alerts_active", {**DEMO, "alert": "memory_growth"}, 1),
        ("sidelight_alerts_active", {**DEMO, "alert": "overfitting"}, 0),
        ("sidelight_run_status", {**DEMO, "status": "running"}, 1),
        ("sidelight_run_status", {**DEMO, "status": "failed"}, 0),
        ("sidelight_run_status", {"run": "other", "status": "failed"}, 1),
        ("sidelight_run_info", {**DEMO, "run_id": "id-demo"}, 1),
        ("sidelight_wandb_state", {**DEMO, "state": "offline"}, 1),
        ("sidelight_wandb_state", {**DEMO, "state": "online"}, 0),
        ("sidelight_wandb_rows_total", DEMO, 20),
        ("sidelight_wandb_images_total", DEMO, 2),
        ("sidelight_database_bytes", DEMO, 8192),
        ("sidelight_frames_folder_bytes", DEMO, 100),
        ("sidelight_producers_connected", {}, 1),
        ("sidelight_messages_malformed_total", {}, 5),
        ("sidelight_messages_ignored_total", {}, 6),
        ("sidelight_exceptions_contained_total", {}, 7),
        ("sidelight_output_free_bytes", {}, 1e9),
        ("sidelight_snapshot_timestamp_seconds", {}, 1_760_000_002.0),
        ("sidelight_worker_processes", {}, 2),
        ("sidelight_worker_calls", {}, 14),
        ("sidelight_workers_lost_total", {}, 3),
        ("sidelight_cluster_up", {}, 1),
        ("sidelight_cluster_threads", {}, 4),
        ("sidelight_cluster_chunks_out", {}, 8),
        ("sidelight_cluster_chunks_total", {}, 20),
        ("sidelight_cluster_calls_total", {}, 200),
        ("sidelight_cluster_calls_brought_back_total", {}, 6),
        ("sidelight_cluster_losses_total", {}, 1),
    ],
)
def test_every_number_of_the_snapshot_stands_there(
    name: str, labels: Labels, expected: float
) -> None:
    assert value(make_board(), name, **labels) == expected


def test_a_rank_that_is_waited_for_stands_there_whether_it_was_ever_heard_or_not() -> None:
    board = make_board(make_run(waits_for={"rank1": 12.5}))
    name = "sidelight_rank_waited_seconds"
    assert value(board, name, **DEMO, producer="rank1") == 12.5
    assert value(board, name, **RANK0) == 0.0


def test_this_process_and_this_sidelight_stand_there() -> None:
    samples = read(make_board())
    names = {name for name, _ in samples}
    assert {"process_resident_memory_bytes", "process_open_fds", "process_start_time_seconds"} <= (
        names
    )
    (labels,) = [dict(labels) for name, labels in samples if name == "sidelight_build_info"]
    assert labels["protocol"].startswith("1.")
    assert labels["version"]


def test_only_who_has_a_cluster_is_told_of_one() -> None:
    assert "sidelight_cluster_up 0.0\n" in text_of(
        make_board(), replace(CLUSTER, cluster_lost=True)
    )
    here = text_of(make_board(), WorkerCounts(**HERE))
    assert "sidelight_worker_processes 2.0\n" in here
    assert "sidelight_cluster" not in here


def test_what_is_not_known_has_no_series() -> None:
    silent = make_producer(said=None, heard_at_s=None, ingest_lag_s=None)
    text = text_of(make_board(make_run(producers=(silent,)), free_bytes=None))
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for name in (
        *("sidelight_producer_frames", "sidelight_producer_records", "sidelight_producer_books"),
        *("sidelight_producer_last_heard", "sidelight_ingest_lag", "sidelight_output_free"),
    ):
        assert not [line for line in lines if line.startswith(name)]


def test_names_follow_the_conventions() -> None:
    # https://prometheus.io/docs/practices/naming/ and what `promtool check metrics` asks for.
    for family in text_string_to_metric_families(text_of(make_board())):
        assert re.fullmatch(r"[a-z][a-z0-9_]*", family.name)
        assert family.documentation.endswith(".")
        assert not re.search(r"_(ms|milliseconds|mb|kb|count)(_|$)", family.name)
        is_counter = {sample.name.endswith("_total") for sample in family.samples}
        assert is_counter <= {family.type == "counter"}, family.name
        for sample in family.samples:
            assert all(re.fullmatch(r"[a-z][a-z0-9_]*", label) for label in sample.labels)


def test_names_from_outside_cannot_break_a_line() -> None:
    nasty = 'a"b\\c\nd} 1\nsidelight_fake 7'
    board = make_board(make_run(producers=(make_producer(nasty),)))
    labels = {"run": "demo", "producer": nasty, "stream": "train"}
    assert value(board, "sidelight_frames_offered_total", **labels) == 40
    assert "sidelight_fake" not in {name for name, _ in read(board)}


def test_the_books_of_each_side_balance_by_the_query_of_the_page() -> None:
    samples = read(make_board())
    for prefix in ("sidelight", "sidelight_producer"):

        def of(name: str, prefix: str = prefix) -> float:
            return sum(
                found
                for (each, labels), found in samples.items()
                if each == f"{prefix}_frames_{name}" and ("stream", "train") in labels
            )

        offered = of("delivered_total") + of("dropped_total") + of("pending")
        assert of("offered_total") == offered


def test_the_page_names_every_series_and_no_other() -> None:
    told = set(re.findall(r"`(sidelight_[a-z_]+)", PAGE.read_text("utf-8")))
    there = {name for name, _ in read(make_board()) if name.startswith("sidelight")}
    assert told == there
