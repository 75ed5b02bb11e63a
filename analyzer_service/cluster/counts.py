"""What the workers of a cluster are counted by, beside those of this machine."""

from dataclasses import dataclass

from analyzer_service.workers.pool import WorkerCounts


@dataclass(frozen=True, slots=True)
class ClusterCounts(WorkerCounts):
    """Workers here as of `WorkerCounts`, and those of the cluster.

    `cluster_slots` are threads there that are given chunks, `cluster_out` chunks are there now.
    `cluster_calls` were answered from there, in `cluster_chunks`; `brought_back` were meant for it
    and run here after all. `cluster_lost` tells whether it is done without now, which has
    happened `cluster_losses` times.
    """

    cluster_slots: int = 0
    cluster_out: int = 0
    cluster_chunks: int = 0
    cluster_calls: int = 0
    brought_back: int = 0
    cluster_lost: bool = False
    cluster_losses: int = 0
