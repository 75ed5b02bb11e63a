"""What a dask cluster on this machine gives, with 1, 2 and 4 workers, beside local processes.

The recording of `keeping_up` (4 tiles of 128² a batch) is replayed to finished files by a local
process, by as many as there are cores, and through clusters of 1, 2 and 4 dask workers of one
thread: all in turns, round after round, so that whatever else the machine does meets all of them.
Each is compared with the local process of the same round. Rows must be equal throughout. Workers
beyond the number of cores share them: what they show is that nothing breaks.

Beside that, what dask takes itself: processor time of the scheduler and of the client's thread for
each chunk of those replays, and chunks of 4 MiB and empty ones that are only passed on; and what a
run costs besides its batches: to be replayed, and to stand idle at an analyzer. The last lines are
those of the table in docs/scale.md.

    python benchmarks/cluster.py [--batches N] [--rounds N] [--limit-s N] [--workers N …] [--quick]
                                 [--json FILE|-]
"""

import os
import signal
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from keeping_up import digest_of_rows, record
from measure.analyzer import Analyzer
from measure.cluster_table import table
from measure.dask_cluster import DaskCluster
from measure.dask_passage import measure_passage
from measure.output import machine, parser, show
from measure.published import run_of

from analyzer_service.cluster.settings import ClusterSettings
from analyzer_service.cluster.workers import ClusterWorkers
from analyzer_service.receive.inventory import Inventory
from analyzer_service.receive.machines import budget_bytes, make_workers
from analyzer_service.receive.replay import Replay
from analyzer_service.receive.runs import RunsSettings
from analyzer_service.workers import PoolWorkers
from trainer.publish import Publisher, PublishSettings

QUICK_BATCHES: Final = 40
IDLE_RUNS: Final = 40
PASSED: Final = 32


@dataclass
class Contestant:
    """Workers that a recording is replayed by, and what each round showed."""

    name: str
    workers: PoolWorkers | ClusterWorkers
    cluster: DaskCluster | None = None
    rounds: list[dict[str, float]] = field(default_factory=list)
    rows: set[str] = field(default_factory=set)

    def replay(self, recording: Path, batches: int) -> dict[str, float]:
        """One replay to finished files."""
        before = self._taken()
        began = time.perf_counter()
        with tempfile.TemporaryDirectory(prefix="cluster-") as name:
            Replay(
                Inventory([recording]),
                self.workers,
                RunsSettings(Path(name)),
                budget_bytes=budget_bytes(self.workers),
            ).run()
            seconds = time.perf_counter() - began
            self.rows.add(digest_of_rows(Path(name) / "auto_analysis_timed"))
        spent = {key: value - before[key] for key, value in self._taken().items()}
        return {"seconds": seconds, "batches_per_s": batches / seconds, **spent}

    def _taken(self) -> dict[str, float]:
        """What of the cluster has been taken until now."""
        if self.cluster is None or not isinstance(self.workers, ClusterWorkers):
            return {}
        counts = self.workers.counts()
        return {
            "chunks": counts.cluster_chunks,
            "calls": counts.cluster_calls,
            "brought_back": counts.brought_back,
            "scheduler_cpu_s": self.cluster.scheduler_cpu_s(),
            "client_cpu_s": sum(map(_thread_cpu_s, self.threads)),
        }

    @property
    def threads(self) -> list[threading.Thread]:
        """Those on which the client of this cluster runs."""
        return [each for each in threading.enumerate() if each.name == f"cluster {self.name}"]


def _thread_cpu_s(thread: threading.Thread) -> float:
    assert thread.ident is not None
    return time.clock_gettime(time.pthread_getcpuclockid(thread.ident))


def contestants(stack: ExitStack, folder: Path, sizes: list[int]) -> list[Contestant]:
    """Local processes and clusters, all of them started."""
    clusters = []
    for size in sizes:
        (folder / str(size)).mkdir()
        clusters.append(stack.enter_context(DaskCluster(folder / str(size), size)))
    here = sorted({1, os.cpu_count() or 1})
    made = [Contestant(f"local, {n}", stack.enter_context(closing(PoolWorkers(n)))) for n in here]
    for cluster in clusters:
        name = f"cluster, {cluster.workers}"
        known = set(threading.enumerate())
        workers = make_workers(1, ClusterSettings(cluster.wait()))
        stack.enter_context(closing(workers))
        for thread in set(threading.enumerate()) - known:
            if thread.name == "cluster":  # told from those of the other clusters by its name
                thread.name = f"cluster {name}"
        made.append(Contestant(name, workers, cluster))
    return made


def compete(
    made: list[Contestant], recording: Path, batches: int, rounds: int, until_s: float
) -> None:
    """Replays in turns, each round beginning with another one; ends early when time is up."""
    for number in range(rounds):
        began = time.monotonic()
        for place in range(len(made)):
            each = made[(number + place) % len(made)]
            each.rounds.append(each.replay(recording, batches))
            _say(f"round {number + 1}, {each.name}: {each.rounds[-1]['seconds']:.1f} s")
        if time.monotonic() + (time.monotonic() - began) > until_s:
            return


def measure_replayed_run(folder: Path, workers: PoolWorkers) -> float:
    """Seconds for a recording of one batch: what a run costs besides its batches."""
    recording = folder / "one.mcap"
    record(recording, 1)
    only = Contestant("one", workers)
    return float(np.median([only.replay(recording, 1)["seconds"] for _ in range(5)]))


def measure_idle_runs(folder: Path, runs: int, seconds: float) -> dict[str, float]:
    """Share of a core that runs take at an analyzer while nothing comes."""
    endpoint = f"ipc://{folder}/a"
    with Analyzer(folder, endpoint, more=("--metrics", "off")) as analyzer, ExitStack() as stack:
        analyzer.wait_until_listening()
        shares = []
        for count in (0, runs):
            for number in range(count):
                run = run_of(f"idle-{number}")
                settings = PublishSettings(journal_dir=folder)
                publisher = Publisher.start(run, endpoint=endpoint, settings=settings)
                stack.callback(publisher.close, timeout_s=5)
            time.sleep(3.0)  # until all are known and written
            cpu_s, began = analyzer.cpu_s(), time.perf_counter()
            time.sleep(seconds)
            shares.append((analyzer.cpu_s() - cpu_s) / (time.perf_counter() - began))
    return {"runs": runs, "cores_without": shares[0], "cores": shares[1]}


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def measure(given: Any) -> dict[str, Any]:
    about, until_s = machine(), time.monotonic() + given.limit_s
    batches, rounds = (QUICK_BATCHES, 2) if given.quick else (given.batches, given.rounds)
    with tempfile.TemporaryDirectory(prefix="cluster-") as name, ExitStack() as stack:
        folder = Path(name)
        recording, short = folder / "recorded.mcap", folder / "short.mcap"
        record(recording, batches)
        record(short, 30)
        made = contestants(stack, folder, given.workers)
        for each in made:  # every process is started and warm, how long a frame takes is known
            _say(f"{each.name}: warm after {each.replay(short, 30)['seconds']:.1f} s")
            each.rows.clear()
        run_s = measure_replayed_run(folder, made[0].workers)  # type: ignore[arg-type]
        smallest = next(each.cluster for each in made if each.cluster is not None)
        passage = measure_passage(smallest, smallest.wait(), 8 if given.quick else PASSED)
        compete(made, recording, batches, rounds, until_s)
        found = [
            {"name": each.name, "rounds": each.rounds, "rows": sorted(each.rows)} for each in made
        ]
    with tempfile.TemporaryDirectory(prefix="cluster-") as name:
        idle = measure_idle_runs(Path(name), IDLE_RUNS, 3.0 if given.quick else 10.0)
    return {
        "benchmark": "cluster",
        "machine": about,
        "batches": batches,
        "contestants": found,
        "passage": passage,
        "replayed_run_s": run_s,
        "idle": idle,
        "load_after": round(os.getloadavg()[0], 2),
    }


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--batches", type=int, default=200)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--limit-s", type=float, default=270.0, help="no round begins after it")
    options.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options.add_argument("--quick", action="store_true", help="40 batches, 2 rounds, few chunks")
    given = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # leave no process
    show(measure(given), table, given.json)


if __name__ == "__main__":
    main()
