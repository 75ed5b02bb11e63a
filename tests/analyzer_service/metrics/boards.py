"""A board with two runs of known numbers."""

from typing import Any

from analyzer_service.commit.views import StreamCounts
from analyzer_service.metrics.snapshot import Board, ProducerCounts, RunCounts, Said, Snapshot
from analyzer_service.sinks.wandb_outcome import Standing
from shared.messages import Books, RecordTotals, Totals

TRAIN = StreamCounts(
    Totals(offered=40, delivered=30, dropped=7, pending=3), {"queue_full": 5, "undecodable": 2}
)
SAID = Said(
    Books(
        frames={
            "train": Totals(offered=44, delivered=29, dropped=6, pending=9),
            "val": Totals(offered=2, delivered=2),
        },
        drops={"train": {"queue_full": 5, "moonlight": 1}, "val": {}},
        records=RecordTotals(offered=52, committed=45, lost=1, pending=6),
        waiting_bytes=4096,
    ),
    1_760_000_000.5,
)


def make_producer(name: str = "rank0", **overrides: Any) -> ProducerCounts:
    fields: dict[str, Any] = {
        "name": name,
        "streams": {"train": TRAIN},
        "said": SAID,
        "committed": 47,
        "acked": 46,
        "connected": True,
        "heard_at_s": 1_760_000_001.25,
        "ingest_lag_s": 0.25,
        "waiting_bytes": 1024,
    }
    return ProducerCounts(**(fields | overrides))


def make_run(name: str = "demo", **overrides: Any) -> RunCounts:
    fields: dict[str, Any] = {
        "run_id": f"id-{name}",
        "name": name,
        "frames_waiting": 3,
        "work_lag_s": 1.5,
        "records_uncommitted": 4,
        "store_failing": False,
        "wandb": Standing("offline", rows=20, images=2),
        "producers": (make_producer(),),
        "released": 33,
        "failures": {"analysis": 2},
        "alerts": {"memory_growth": 1},
        "database_bytes": 8192,
        "frames_bytes": 100,
    }
    return RunCounts(**(fields | overrides))


def make_board(*runs: RunCounts, **overrides: Any) -> Board:
    fields: dict[str, Any] = {
        "taken_at_s": 1_760_000_002.0,
        "runs": runs or (make_run(), make_run("other", producers=(), status="failed")),
        "producers_connected": 1,
        "malformed": 5,
        "ignored": 6,
        "contained": 7,
        "free_bytes": 10**9,
    }
    return Board(latest=Snapshot(**(fields | overrides)))
