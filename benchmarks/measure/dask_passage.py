"""What a chunk's way through dask costs when nothing is done with it; a worker imports this."""

import os
import time
from typing import Any, Final

import numpy as np
from distributed import Client

from measure.dask_cluster import DaskCluster

CHUNK_BYTES: Final = 4 << 20


def size(payload: Any) -> int:
    """What is done with it."""
    return len(payload)


def measure_passage(cluster: DaskCluster, address: str, count: int) -> dict[str, Any]:
    """Time and processor time of `count` chunks that are on their way together."""
    payload = np.frombuffer(os.urandom(CHUNK_BYTES), np.uint8)
    with Client(address, set_as_default=False) as client:
        client.submit(size, payload, pure=False).result()
        full, empty = _pass(cluster, client, payload, count), _pass(cluster, client, b"", count)
    return {"chunk_bytes": CHUNK_BYTES, "full": full, "empty": empty}


def _pass(cluster: DaskCluster, client: Client, payload: Any, count: int) -> dict[str, float]:
    began, client_s, scheduler_s = time.perf_counter(), time.process_time(), _taken(cluster)
    futures = [client.submit(size, payload, pure=False) for _ in range(count)]
    client.gather(futures)
    seconds = time.perf_counter() - began
    client_s, scheduler_s = time.process_time() - client_s, _taken(cluster) - scheduler_s
    nbytes = count * len(payload)
    return {
        "ms": 1000 * seconds / count,
        "client_cpu_ms": 1000 * client_s / count,
        "scheduler_cpu_ms": 1000 * scheduler_s / count,
        "mb_per_s": nbytes / 1e6 / seconds,
        "mb_a_scheduler_core_s": nbytes / 1e6 / max(scheduler_s, 0.01),
    }


def _taken(cluster: DaskCluster) -> float:
    return cluster.scheduler_cpu_s()
