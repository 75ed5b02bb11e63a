"""Where analyses run: in processes of this machine, or those of frames on a cluster."""

from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.pipeline.remote_calls import REMOTE
from analyzer_service.receive.replay import BUDGET_BYTES
from analyzer_service.workers import PoolWorkers


def make_workers(count: int, cluster: ClusterSettings | None) -> PoolWorkers | ClusterWorkers:
    """`count` processes here and, if there is one, a cluster; the caller closes them.

    Raises
    ------
    ConfigurationError
        If the cluster cannot be used.
    """
    local = PoolWorkers(count)
    if cluster is None:
        return local
    try:
        return ClusterWorkers(cluster, local, REMOTE)
    except BaseException:
        local.close()
        raise


def budget_bytes(workers: PoolWorkers | ClusterWorkers) -> int:
    """Frames that a replay may have in work now: a cluster's workers come and go."""
    there = workers.budget_bytes if isinstance(workers, ClusterWorkers) else 0
    return max(BUDGET_BYTES, there)
