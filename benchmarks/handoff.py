"""Time on the training thread to hand over a batch: Sidelight against three loggers, in one run.

A batch is 4 RGB tiles of 128², their reconstructions, two maps (16² and 32² a tile) and ten
scalars (Sidelight measures four more by itself). Sidelight runs as in a fit: all hooks of
`SidecarCallback`, and the forward hooks on the model and on the watched layers, count; an analyzer
process of its own (low priority, W&B off) takes and analyzes the frames. A further row records
everything to a file as well. Between two hand-overs the thread trains two convolutions (5 to 25 ms
on one core), so that caches are cold; "hot" are 20 hand-overs with nothing in between. Contestants
take turns, in blocks of 10 steps, in an order that changes.

"On a processor" is the time in which the thread ran: on a machine that does other things, too,
the rest of the time it waited for a processor, or for the interpreter's lock. Both clocks are read
around each hook, which takes time itself: the last row shows how much. On a GPU the host's time
counts, and PyTorch raises where a hook would wait for the device.

    python benchmarks/handoff.py [--rounds N] [--json FILE|-]
"""

import os
import random
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from measure.analyzer import Analyzer
from measure.contestants import Contestant, contestants
from measure.output import machine, parser, show
from measure.sidecar_step import fresh_values
from measure.stopwatch import Spent, describe

BLOCK = 10
BURST = 20
SLOWEST_BURST_S = 0.5

Taken = dict[str, list[Spent]]


def measure(rounds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    about = machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handoff-")))
        analyzer = stack.enter_context(Analyzer(folder, f"ipc://{folder}/a"))
        analyzer.wait_until_listening()
        found = contestants(folder, analyzer)
        taking_part = {name: each for name, each in found.items() if not isinstance(each, str)}
        cold, work_s = run_cold(taking_part, rounds)
        hot = run_hot(taking_part, rounds)
        for each in taking_part.values():
            each.close()
    about["load_after"] = round(os.getloadavg()[0], 2)
    cases = [
        {"name": name, "cold": describe(cold[name]), "hot": describe(hot[name])}
        for name in taking_part
    ]
    skipped = {name: each for name, each in found.items() if isinstance(each, str)}
    mine = cases[0]["cold"]["wall_us"]["median"]
    for case in cases:
        case["ratio"] = round(case["cold"]["wall_us"]["median"] / mine, 1)
    return {
        "benchmark": "handoff",
        "machine": about,
        "work_ms": round(1000 * work_s, 2),
        "cases": cases,
        "skipped": skipped,
    }


def run_cold(contestants: dict[str, Contestant], rounds: int) -> tuple[Taken, float]:
    """Each hand-over between steps of real work, and the median seconds of that work."""
    order = random.Random(0)
    taken: Taken = {name: [] for name in contestants}
    worked: list[float] = []

    def worker(work: Callable[[], dict[str, Any]]) -> Callable[[], dict[str, Any]]:
        def timed() -> dict[str, Any]:
            began = time.perf_counter()
            values = work()
            worked.append(time.perf_counter() - began)
            return values

        return timed

    work = {name: worker(each.module.work) for name, each in contestants.items()}
    for turn in range(rounds + 1):
        for name in order.sample(list(contestants), len(contestants)):
            spent = [contestants[name].step(work[name]) for _ in range(BLOCK)]
            taken[name] += spent if turn else []  # the first round warms up
    return taken, sorted(worked)[len(worked) // 2]


def run_hot(contestants: dict[str, Contestant], rounds: int) -> Taken:
    """Each hand-over in bursts with nothing in between."""
    taken: Taken = {name: [] for name in contestants}
    for _ in range(max(3, rounds // 4)):
        for name, contestant in contestants.items():
            if sum(spent.wall_s for spent in taken[name]) > 4 * SLOWEST_BURST_S:
                continue
            module = contestant.module
            ready = [fresh_values(module.pool[i % 16].clone()) for i in range(BURST)]
            taken[name] += [contestant.step(lambda v=values: v) for values in ready]
            for _ in range(BURST):  # time for whoever works behind the scenes
                module.work()
    return taken


COLUMNS = {
    "median": ("cold", "wall_us", "median"),
    "p99": ("cold", "wall_us", "p99"),
    "max": ("cold", "wall_us", "max"),
    "running": ("cold", "cpu_us", "median"),
    "run. p99": ("cold", "cpu_us", "p99"),
    "wait p99": ("cold", "waiting_us", "p99"),
    "hot": ("hot", "wall_us", "median"),
    "hot p99": ("hot", "wall_us", "p99"),
}


def table(results: dict[str, Any]) -> None:
    about = results["machine"]
    print(
        f"work between hand-overs: {results['work_ms']} ms; load {about['load_before']} to "
        f"{about['load_after']}; times in µs; running: on a processor"
    )
    print(f"{'':<28}{'ratio':>8}{'steps':>7}" + "".join(f"{name:>10}" for name in COLUMNS))
    for case in results["cases"]:
        shown = "".join(
            f"{case[kind][clock][number]:>10,.0f}" for kind, clock, number in COLUMNS.values()
        )
        steps = case["cold"]["wall_us"]["count"]
        print(f"{case['name']:<28}{case['ratio']:>7,.1f}x{steps:>7}{shown}")
    for name, reason in results["skipped"].items():
        print(f"{name:<28}skipped: {reason}")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=30)
    given = options.parse_args()
    show(measure(given.rounds), table, given.json)


if __name__ == "__main__":
    main()
