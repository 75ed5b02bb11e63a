"""What a training step costs with the sidecar on, against the same step with it off.

The small DAE-KAN trains (forward, backward, AdamW) on batches of 4 tiles of 128² with
`FitSession` and `Publisher` as `SidecarCallback` starts them; blocks of steps with the sidecar on
and off take turns, so that drift cancels. Off means that no hook is left on the model. The thread's
share is the time that the training thread spent in our code (hooks and hand-over), over the time of
the steps; "running" is the part of it in which the thread ran on a processor, and was neither put
aside for other work nor waiting for the interpreter's lock. Reading the clocks counts as ours.

healthy   an analyzer process of its own, at low priority, takes and analyzes every frame
absent    nobody listens: records go to the journal
stopped   the analyzer and its workers have got SIGSTOP
killed    they have got SIGKILL
slow      every analysis sleeps for 100 ms

Training runs on one thread, so that a machine with two cores has one left for the sidecar; the
healthy case runs again on as many threads as there are cores, which the sidecar then shares.
"Behind" is how many frames were on their way as a block ended, at most. The clock then stops until
an analyzer that lives has caught up, for 3 s at most, so that its work slows no block that is off.

    python benchmarks/step_overhead.py [--pairs N] [--block N] [--json FILE|-]
"""

import os
import signal
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import torch
from measure.analyzer import Analyzer
from measure.output import machine, parser, show
from measure.stopwatch import Spent, Stopwatch
from measure.stopwatch import describe as describe_spent
from torch import nn
from torch.nn import functional

from shared.messages import Layer, RunStarted
from trainer.capture.counters import RunCounters
from trainer.capture.gates import Taps
from trainer.capture.session import FitSession
from trainer.model.dae_kan import DAEKAN
from trainer.publish import Publisher, PublishSettings

CASES: Final = ("healthy", "absent", "stopped", "killed", "slow")
CATCH_UP_S: Final = 3.0
SLOW_ANALYZER: Final = str(Path(__file__).parent / "measure" / "slow_analyzer.py")


class Training:
    """The small model and its optimizer."""

    def __init__(self, threads: int) -> None:
        torch.set_num_threads(threads)
        torch.manual_seed(0)
        self.model = DAEKAN("small")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=4e-3)
        self.tiles = torch.rand(8, 4, 3, 128, 128)
        self.count = 0

    def step(self) -> dict[str, Any]:
        self.count += 1
        clean = self.tiles[self.count % len(self.tiles)].clone()
        _, decoded, _ = self.model(clean + 0.05 * torch.randn_like(clean))
        loss = functional.mse_loss(decoded, clean)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        loss = loss.detach()
        return {"loss": loss, "mse": loss, "input": clean, "reconstruction": decoded.detach()}


class Watched:
    """The same steps under watch."""

    def __init__(self, training: Training, publisher: Publisher, counters: RunCounters) -> None:
        self.training = training
        self.stopwatch = Stopwatch()
        model = training.model
        taps = Taps(model, model.attention_layers, model.activation_layers, samples=4)
        self.session = FitSession(
            model, torch.device("cpu"), taps=taps, counters=counters, receiver=publisher
        )
        self.stopwatch.time_hooks(model)

    def step(self) -> tuple[float, Spent]:
        """Seconds of a step, and what was spent in our code."""
        run, session = self.stopwatch.run, self.session
        began = time.perf_counter()
        run(session.batch_started, "train", 4e-3)
        returned = self.training.step()
        count, batch = self.training.count, [returned["input"]]
        run(session.step_ended, "train", count, batch, returned)
        return time.perf_counter() - began, self.stopwatch.take()


def measure_case(case: str, threads: int, *, pairs: int, block: int) -> dict[str, Any]:
    """Steps with and without the sidecar, in turns, against one kind of analyzer."""
    with tempfile.TemporaryDirectory(prefix="step-") as name:
        folder = Path(name)
        command = (SLOW_ANALYZER,) if case == "slow" else ("-m", "analyzer_service")
        endpoint = f"ipc://{folder}/a"
        if case == "absent":
            return compare(folder, endpoint, case, threads, None, pairs=pairs, block=block)
        with Analyzer(folder, endpoint, command=command) as analyzer:
            analyzer.wait_until_listening()
            return compare(folder, endpoint, case, threads, analyzer, pairs=pairs, block=block)


def compare(
    folder: Path,
    endpoint: str,
    case: str,
    threads: int,
    analyzer: Analyzer | None,
    *,
    pairs: int,
    block: int,
) -> dict[str, Any]:
    training, counters = Training(threads), RunCounters()
    publisher = Publisher.start(
        describe(training.model, counters),
        endpoint=endpoint,
        settings=PublishSettings(journal_dir=folder),
    )
    warm_up(training, publisher, counters, block)
    if analyzer is not None and case in ("stopped", "killed"):
        analyzer.kill(signal.SIGSTOP if case == "stopped" else signal.SIGKILL)
    on: list[tuple[float, Spent]] = []
    off: list[float] = []
    ratios: list[float] = []
    behind: list[int] = []
    for pair in range(pairs):
        blocks = {}
        for kind in ("on", "off") if pair % 2 else ("off", "on"):
            if kind == "on":
                blocks[kind] = watched_block(training, publisher, counters, block)
                on += blocks[kind]
                behind.append(pending(publisher))
                catch_up(publisher, waits=case in ("healthy", "slow"))
            else:
                blocks[kind] = plain_block(training, block)
                off += [step_s for step_s, _ in blocks[kind]]
        medians = {k: statistics.median(step_s for step_s, _ in v) for k, v in blocks.items()}
        ratios.append(medians["on"] / medians["off"])
    if analyzer is not None and case == "stopped":
        analyzer.kill(signal.SIGCONT)
    outcome = publisher.close(timeout_s=2.0)
    whole_s = sum(step_s for step_s, _ in on)
    return {
        "case": case,
        "threads": threads,
        "steps": len(on),
        "off_ms": round(1000 * statistics.median(off), 2),
        "on_ms": round(1000 * statistics.median(step_s for step_s, _ in on), 2),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_of_means": round(whole_s / len(on) / statistics.mean(off), 4),
        "thread": describe_spent([spent for _, spent in on]),
        "share_percent": share(whole_s, [spent.wall_s for _, spent in on]),
        "running_percent": share(whole_s, [spent.cpu_s for _, spent in on]),
        "most_behind": max(behind),
        "totals": {stream: each.model_dump() for stream, each in outcome.totals.items()},
        "records_lost": outcome.records_lost,
    }


def share(whole_s: float, spent_s: list[float]) -> float:
    return round(100 * sum(spent_s) / whole_s, 3)


def describe(model: DAEKAN, counters: RunCounters) -> RunStarted:
    counters.start()
    layers = [Layer(name=name, kind="attention") for name in model.attention_layers]
    layers += [Layer(name=name, kind="activation") for name in model.activation_layers]
    return RunStarted(
        run_id=counters.run_id,
        run_name=counters.run_name,
        producer="rank0",
        started_at_ns=time.time_ns(),
        layers=tuple(layers),
    )


def warm_up(training: Training, publisher: Publisher, counters: RunCounters, block: int) -> None:
    """Both kinds of block once; the analyzer's worker process starts meanwhile."""
    watched_block(training, publisher, counters, block)
    plain_block(training, block)
    catch_up(publisher, waits=True)


def watched_block(
    training: Training, publisher: Publisher, counters: RunCounters, block: int
) -> list[tuple[float, Spent]]:
    watched = Watched(training, publisher, counters)
    watched.step()  # the first step finds cold caches in either kind of block
    times = [watched.step() for _ in range(block)]
    watched.session.remove_hooks()
    return times


def plain_block(training: Training, block: int) -> list[tuple[float, Spent]]:
    training.step()
    times = []
    for _ in range(block):
        began = time.perf_counter()
        training.step()
        times.append((time.perf_counter() - began, Spent(0.0, 0.0)))
    return times


def catch_up(publisher: Publisher, *, waits: bool) -> None:
    """Wait until nothing is on its way, if somebody is there to take it."""
    until_s = time.monotonic() + (CATCH_UP_S if waits else 0.2)
    while time.monotonic() < until_s and (pending(publisher) or publisher.progress.records_unacked):
        time.sleep(0.02)


def pending(publisher: Publisher) -> int:
    return sum(total.pending for total in publisher.progress.totals.values())


def table(results: dict[str, Any]) -> None:
    about = results["machine"]
    print(f"load {about['load_before']} to {about['load_after']}; thread and running in µs")
    print(
        f"{'analyzer':<10}{'threads':>8}{'off ms':>9}{'on ms':>9}{'ratio':>8}{'of means':>10}"
        f"{'thread':>8}{'p99':>7}{'share %':>9}{'running':>9}{'p99':>7}{'share %':>9}"
        f"{'behind':>8}{'steps':>7}"
    )
    for case in results["cases"]:
        wall, cpu = case["thread"]["wall_us"], case["thread"]["cpu_us"]
        print(
            f"{case['case']:<10}{case['threads']:>8}{case['off_ms']:>9.2f}{case['on_ms']:>9.2f}"
            f"{case['ratio']:>8.3f}{case['ratio_of_means']:>10.3f}"
            f"{wall['median']:>8,.0f}{wall['p99']:>7,.0f}{case['share_percent']:>9.2f}"
            f"{cpu['median']:>9,.0f}{cpu['p99']:>7,.0f}{case['running_percent']:>9.2f}"
            f"{case['most_behind']:>8}{case['steps']:>7}"
        )


def main() -> None:
    options = parser(__doc__ or "")
    options.add_argument("--pairs", type=int, default=4)
    options.add_argument("--block", type=int, default=10)
    options.add_argument("--case", action="append", choices=CASES)
    given = options.parse_args()
    about = machine()
    cores = torch.get_num_threads()
    cases = [
        measure_case(case, threads, pairs=given.pairs, block=given.block)
        for threads in dict.fromkeys((1, cores))
        for case in given.case or (CASES if threads == 1 else CASES[:1])
    ]
    about["load_after"] = round(os.getloadavg()[0], 2)
    show({"benchmark": "step_overhead", "machine": about, "cases": cases}, table, given.json)


if __name__ == "__main__":
    main()
