"""A dask cluster in a process of its own, that a test can kill as a whole.

``python -m tests.analyzer_service.cluster.own_cluster FILE`` writes the scheduler's address there.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.analyzer_service.workers.polling import wait_for_text
from tests.analyzer_service.workers.remote import dask_cluster


@contextmanager
def cluster_process(folder: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address, and the process that holds its scheduler and is the parent of its worker."""
    file = folder / "scheduler"
    command = [sys.executable, "-m", "tests.analyzer_service.cluster.own_cluster", str(file)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        try:
            yield wait_for_text(file), process
        finally:
            process.kill()


def main(file: Path) -> None:
    """Hold a cluster until the parent is gone."""
    with dask_cluster() as cluster:
        written = file.with_suffix(".new")
        written.write_text(cluster.scheduler_address)
        written.replace(file)
        sys.stdin.read()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
