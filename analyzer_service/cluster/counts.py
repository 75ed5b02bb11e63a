"""What the workers of a cluster are counted by, beside those of this machine."""

from dataclasses import dataclass

from analyzer_service.workers.pool import WorkerCounts


@dataclass(frozen=True, slots=True)
class ClusterCounts(WorkerCounts):
    """Workers here as of `WorkerCounts`, and those of the cluster.

    `cluster_slots` are threads there, `cluster_calls` were answered from there, in
    `cluster_chunks`; `brought_back` were sent there and run here after all. `cluster_lost` tells
    whether the cluster was given up.
    """

    cluster_slots: int = 0
    cluster_chunks: int = 0
    cluster_calls: int = 0
    brought_back: int = 0
    cluster_lost: bool = False
