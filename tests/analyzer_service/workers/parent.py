"""A process with a busy worker, to be killed."""

import sys
import time
from pathlib import Path

from analyzer_service.workers import PoolWorkers
from tests.analyzer_service.workers import tasks

if __name__ == "__main__":
    workers = PoolWorkers(1)
    payload = [bytes(int(nbytes)) for nbytes in sys.argv[2:]]
    workers.submit(
        tasks.sleep_with_marked,
        Path(sys.argv[1]),
        timeout_s=600.0,
        on_done=print,
        payload=payload,
    )
    time.sleep(600)
