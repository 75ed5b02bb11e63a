"""How many batches a second a cluster analyzes, with 1, 2 and 4 dask workers on this machine.

The recording of `keeping_up` (4 tiles of 128² a batch) is replayed through a cluster to
finished files; before that without one, in 1 process. Rows must be equal throughout.
Workers beyond the number of cores share them: what they show is that nothing breaks.

    python benchmarks/cluster.py [--batches N] [--workers N …] [--quick] [--json FILE|-]
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from distributed import Client, LocalCluster
from keeping_up import digest_of_rows, record
from measure.output import machine, parser, show

from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.machines import make_workers
from analyzer_service.receive.replay import BUDGET_BYTES, Replay
from analyzer_service.receive.runs import RunsSettings

QUICK_BATCHES: Final = 60
CHUNK_BYTES: Final = 4 << 20


@contextmanager
def cluster_of(workers: int) -> Iterator[str]:
    """Address of a scheduler with so many worker processes of one thread."""
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        memory_limit=0,
    ) as cluster:
        yield cluster.scheduler_address


def measure_replay(recording: Path, batches: int, address: str | None) -> dict[str, Any]:
    """Batches a second of a replay, after one that warms every process up."""
    settings = None if address is None else ClusterSettings(address)
    with (
        tempfile.TemporaryDirectory(prefix="cluster-") as name,
        closing(make_workers(1, settings)) as workers,
    ):
        seconds = []
        for turn in ("warm", "timed"):
            folder = Path(name) / turn
            folder.mkdir()
            replay = Replay(
                Inventory([recording]),
                workers,
                RunsSettings(folder),
                budget_bytes=getattr(workers, "budget_bytes", BUDGET_BYTES),
            )
            began = time.perf_counter()
            replay.run()
            seconds.append(time.perf_counter() - began)
        rows = digest_of_rows(folder / "auto_analysis_timed")
        chunks = getattr(workers.counts(), "cluster_chunks", 0)
    return {
        "batches_per_s": round(batches / seconds[1], 1),
        "seconds": [round(each, 2) for each in seconds],
        "batches_a_chunk": round(2 * batches / chunks, 1) if chunks else None,
        "rows": rows,
    }


def measure_passage(address: str, count: int) -> dict[str, Any]:
    """What a chunk's way through the scheduler costs when nothing is done with it."""
    payload = np.frombuffer(os.urandom(CHUNK_BYTES), np.uint8)
    with Client(address, set_as_default=False) as client:
        client.submit(_size, payload, pure=False).result()
        began, cpu_s = time.perf_counter(), time.process_time()
        futures = [client.submit(_size, payload, pure=False) for _ in range(count)]
        client.gather(futures)
        full_s = time.perf_counter() - began
        cpu_s = time.process_time() - cpu_s
        began = time.perf_counter()
        client.gather([client.submit(_size, b"", pure=False) for _ in range(count)])
        empty_s = time.perf_counter() - began
    return {
        "mb_per_s": round(count * CHUNK_BYTES / 1e6 / full_s, 1),
        "ms_a_chunk": round(1000 * full_s / count, 1),
        "cpu_ms_a_chunk": round(1000 * cpu_s / count, 1),
        "ms_an_empty_chunk": round(1000 * empty_s / count, 1),
    }


def _size(payload: Any) -> int:
    return len(payload)


def measure(given: Any) -> dict[str, Any]:
    about = machine()
    batches = QUICK_BATCHES if given.quick else given.batches
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        recording = Path(name) / "recorded.mcap"
        record(recording, batches)
        here = measure_replay(recording, batches, None)
        there, passage = [], {}
        for workers in given.workers:
            with cluster_of(workers) as address:
                passage = passage or measure_passage(address, 8 if given.quick else 32)
                found = measure_replay(recording, batches, address)
                there.append({"workers": workers, **found})
    return {
        "benchmark": "cluster",
        "machine": about,
        "batches": batches,
        "local": here,
        "cluster": there,
        "passage": passage,
    }


def table(found: dict[str, Any]) -> None:
    about, passage = found["machine"], found["passage"]
    print(f"{about['cores']} cores, load {about['load_before']}; {found['batches']} batches\n")
    print("replay               batches/s   against local")
    local = found["local"]["batches_per_s"]
    print(f"local, 1 process     {local:>9}")
    for row in found["cluster"]:
        many = "workers" if row["workers"] > 1 else "worker"
        ratio = row["batches_per_s"] / local
        print(f"cluster, {row['workers']} {many:<10} {row['batches_per_s']:>9}   {ratio:.2f}")
    same = len({row["rows"] for row in (found["local"], *found["cluster"])}) == 1
    print(f"rows are equal: {'yes' if same else 'NO'}\n")
    print(f"a chunk of {CHUNK_BYTES >> 20} MiB that is only passed on: {passage['ms_a_chunk']} ms")
    print(f"  ({passage['mb_per_s']} MB/s), an empty one {passage['ms_an_empty_chunk']} ms;")
    print(f"  of the processor, client and scheduler together: {passage['cpu_ms_a_chunk']} ms")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--batches", type=int, default=300)
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--quick", action="store_true", help="60 batches, a few chunks")
    given = options.parse_args()
    show(measure(given), table, given.json)


if __name__ == "__main__":
    main()
