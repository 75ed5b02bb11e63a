"""A dask cluster in a process of its own, that a test can kill as a whole, and single workers.

``python -m tests.analyzer_service.cluster.own_cluster FILE PORT`` writes the scheduler's address
there.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.analyzer_service.workers.polling import wait_for_text
from tests.analyzer_service.workers.remote import dask_cluster


@contextmanager
def cluster_process(folder: Path, port: int = 0) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address, and the process that holds its scheduler and is the parent of its worker."""
    file = folder / f"scheduler{port}"
    module = "tests.analyzer_service.cluster.own_cluster"
    command = [sys.executable, "-m", module, str(file), str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield wait_for_text(file), process
        finally:
            process.kill()


@contextmanager
def worker_process(
    address: str, *, preload: str | None = None
) -> Iterator["subprocess.Popen[bytes]"]:
    """A dask worker of one thread, without a nanny that would start it again."""
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--no-nanny"]
    command += ["--nworkers", "1", "--nthreads", "1", "--no-dashboard", "--memory-limit", "0"]
    command += ["--preload", preload] if preload else []
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def main(file: Path, port: int) -> None:
    """Hold a cluster until the parent is gone."""
    with dask_cluster(port=port) as cluster:
        written = file.with_suffix(".new")
        written.write_text(cluster.scheduler_address)
        written.replace(file)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
