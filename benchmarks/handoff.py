"""Time on the training thread to hand over a batch: Sidelight against three loggers, in one run.

A batch is 4 RGB tiles of 128², their reconstructions, two maps (16² and 32² a tile) and ten
scalars (Sidelight measures four more by itself). Sidelight runs as in a fit: all hooks of
`SidecarCallback` and the forward hooks of the watched layers count, an analyzer process of its
own (low priority, W&B off) takes and analyzes the frames, and everything goes to a recording as
well. Between two hand-overs the thread trains two convolutions (5 to 20 ms on one core), so that
caches are cold; "hot" are 20 hand-overs with nothing in between. Contestants take turns, in
blocks of 10 steps, in an order that changes.

    python benchmarks/handoff.py [--rounds N] [--json FILE|-]
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import torch
from measure.analyzer import Analyzer
from measure.loggers import LOGGERS, Missing
from measure.output import machine, parser, show, spread
from measure.sidecar_step import ATTENTION, Step, fresh_values, lightning_trainer

from shared.messages import Layer, RunStarted
from trainer.capture.callback import SidecarCallback
from trainer.publish import Publisher, PublishSettings

BLOCK = 10
BURST = 20
SLOWEST_BURST_S = 0.5


class Contestant(Protocol):
    """Spends time on the training thread."""

    def step(self, work: Callable[[], dict[str, Any]]) -> float:
        """Do the work of a step and hand its values over; return the seconds of the latter."""
        ...

    def close(self) -> None: ...


class WatchedByCallback:
    """`SidecarCallback` on a module, called where Lightning calls it."""

    def __init__(self, folder: Path, analyzer: Analyzer) -> None:
        self.module = Step()
        self.trainer = lightning_trainer(self.module, 100_000)
        self.callback = SidecarCallback(
            ATTENTION,
            sidecar=analyzer.endpoint,
            record=folder / "callback.mcap",
            run_name="callback",
            output_dir=folder,
        )
        self.callback.on_train_start(self.trainer, self.module)
        self.in_hooks_s = 0.0
        for gate in self.module.gates.values():
            for key, hook in gate._forward_hooks.items():
                gate._forward_hooks[key] = self.timed(hook)
        self.count = 0

    def timed(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def timed_hook(*args: Any) -> None:
            began = time.perf_counter()
            hook(*args)
            self.in_hooks_s += time.perf_counter() - began

        return timed_hook

    def step(self, work: Callable[[], dict[str, Any]]) -> float:
        callback, trainer, module = self.callback, self.trainer, self.module
        self.count += 1
        began = time.perf_counter()
        callback.on_train_batch_start(trainer, module, None, self.count)
        spent = time.perf_counter() - began
        values = work()
        self.in_hooks_s = 0.0
        for name, gate in values["maps"].items():
            module.gates[name](gate)
        began = time.perf_counter()
        callback.on_before_backward(trainer, module, None)
        for name, value in values["numbers"].items():
            callback.log_scalar(name, value)
        callback.on_train_batch_end(trainer, module, values, None, self.count)
        return spent + self.in_hooks_s + time.perf_counter() - began

    def close(self) -> None:
        self.callback.on_fit_end(self.trainer, self.module)
        print(f"callback: {self.callback.outcome}", file=sys.stderr)
        if self.callback.failures:
            raise RuntimeError("the callback failed; the figures mean nothing")


class PlainBatches:
    """`Publisher.batch`, which copies on the spot."""

    def __init__(self, folder: Path, analyzer: Analyzer) -> None:
        run = RunStarted(
            run_id="plain",
            run_name="plain",
            producer="rank0",
            started_at_ns=time.time_ns(),
            layers=tuple(Layer(name=name, kind="attention") for name in ATTENTION),
        )
        self.publisher = Publisher.start(
            run,
            endpoint=analyzer.endpoint,
            record=folder / "plain.mcap",
            settings=PublishSettings(journal_dir=folder),
        )
        self.count = 0

    def step(self, work: Callable[[], dict[str, Any]]) -> float:
        self.count += 1
        values = work()
        began = time.perf_counter()
        self.publisher.batch(
            phase="train",
            epoch=0,
            batch_idx=self.count,
            global_step=self.count,
            loss=values["loss"],
            input=values["input"],
            reconstruction=values["reconstruction"],
            attention=values["maps"],
            scalars={"mse": values["mse"], "learning_rate": 0.01, **values["numbers"]},
        )
        return time.perf_counter() - began

    def close(self) -> None:
        print(f"batch: {self.publisher.close(timeout_s=20)}", file=sys.stderr)


class Logged:
    """One of the loggers."""

    def __init__(self, log: Any) -> None:
        self.log = log
        self.count = 0

    def step(self, work: Callable[[], dict[str, Any]]) -> float:
        self.count += 1
        values = work()
        began = time.perf_counter()
        self.log(self.count, values)
        return time.perf_counter() - began

    def close(self) -> None:
        self.log.close()


def contestants(folder: Path, analyzer: Analyzer) -> Iterator[tuple[str, Contestant | str]]:
    """All of them by name; a string says why one is left out."""
    yield "sidelight, callback", WatchedByCallback(folder, analyzer)
    yield "sidelight, Publisher.batch", PlainBatches(folder, analyzer)
    for name, make in LOGGERS.items():
        try:
            (folder / name).mkdir()
            yield name, Logged(make(folder / name))
        except Missing as missing:
            yield name, str(missing)


def measure(rounds: int) -> dict[str, Any]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    about = machine()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handoff-")))
        analyzer = stack.enter_context(Analyzer(folder, f"ipc://{folder}/a"))
        analyzer.wait_until_listening()
        found = dict(contestants(folder, analyzer))
        taking_part = {name: each for name, each in found.items() if not isinstance(each, str)}
        cold, work_s = run_cold(taking_part, rounds)
        hot = run_hot(taking_part, rounds)
        for each in taking_part.values():
            each.close()
    cases = [describe(name, cold[name], hot[name]) for name in taking_part]
    skipped = {name: each for name, each in found.items() if isinstance(each, str)}
    mine = cases[0]["cold_us"]["median"]
    for case in cases:
        case["ratio"] = round(case["cold_us"]["median"] / mine, 1)
    return {
        "benchmark": "handoff",
        "machine": about,
        "work_ms": round(1000 * work_s, 2),
        "cases": cases,
        "skipped": skipped,
    }


def run_cold(
    contestants: dict[str, Contestant], rounds: int
) -> tuple[dict[str, list[float]], float]:
    """Seconds of each hand-over between steps of real work, and the median of that work."""
    step, order = Step(), random.Random(0)
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    worked: list[float] = []

    def work() -> dict[str, Any]:
        began = time.perf_counter()
        values = step.work()
        worked.append(time.perf_counter() - began)
        return values

    for turn in range(rounds + 1):
        for name in order.sample(list(contestants), len(contestants)):
            times = [contestants[name].step(work) for _ in range(BLOCK)]
            taken[name] += times if turn else []  # the first round warms up
    return taken, sorted(worked)[len(worked) // 2]


def run_hot(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Seconds of each hand-over in bursts with nothing in between."""
    step = Step()
    taken: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(max(3, rounds // 4)):
        for name, contestant in contestants.items():
            if sum(taken[name]) > 4 * SLOWEST_BURST_S:
                continue
            ready = [fresh_values(step.pool[i % 16].clone()) for i in range(BURST)]
            taken[name] += [contestant.step(lambda v=values: v) for values in ready]
            for _ in range(BURST):  # time for whoever works behind the scenes
                step.work()
    return taken


def describe(name: str, cold: list[float], hot: list[float]) -> dict[str, Any]:
    in_us = [1e6 * value for value in cold], [1e6 * value for value in hot]
    return {"name": name, "cold_us": spread(in_us[0]), "hot_us": spread(in_us[1])}


def table(results: dict[str, Any]) -> None:
    print(f"work between hand-overs: {results['work_ms']} ms; times in µs")
    columns = ("median", "p99", "max", "hand-overs", "ratio", "hot median", "hot p99")
    print(f"{'':<30}" + "".join(f"{column:>12}" for column in columns))
    for case in results["cases"]:
        cold, hot = case["cold_us"], case["hot_us"]
        numbers = [cold["median"], cold["p99"], cold["max"], cold["count"]]
        shown = [f"{number:>12,.0f}" for number in numbers]
        shown += [f"{case['ratio']:>11,.1f}x", *(f"{hot[k]:>12,.0f}" for k in ("median", "p99"))]
        print(f"{case['name']:<30}" + "".join(shown))
    for name, reason in results["skipped"].items():
        print(f"{name:<30}skipped: {reason}")


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--rounds", type=int, default=30)
    given = options.parse_args()
    show(measure(given.rounds), table, given.json)


if __name__ == "__main__":
    main()
