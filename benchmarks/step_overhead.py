"""What a training step costs with the sidecar on, against the same step with it off.

The small DAE-KAN trains (forward, backward, AdamW) on batches of 4 tiles of 128² with
`FitSession` and `Publisher` as `SidecarCallback` starts them; blocks of steps with the sidecar on
and off take turns, so that drift cancels. Off means that no hook is left on the model. The thread's
share is the time that the training thread spent in our code (hooks and hand-over) in a step,
over the time of that step.

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

import signal
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch
from measure.analyzer import Analyzer
from measure.output import machine, parser, show
from torch import nn
from torch.nn import functional
from trainer.capture.ended import EndedStep

from shared.messages import Layer, RunStarted
from trainer.capture.counters import RunCounters
from trainer.capture.gates import tap_layers
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
    """The same steps under watch; `ours_s` is what the training thread spent in our code."""

    def __init__(self, training: Training, publisher: Publisher, counters: RunCounters) -> None:
        self.training, self.ours_s = training, 0.0
        model = training.model
        taps = tap_layers(model, model.attention_layers, model.activation_layers, samples=4)
        self.session = FitSession(
            model, torch.device("cpu"), taps=taps, counters=counters, receiver=publisher
        )
        for module in model.modules():
            for hooks in (module._forward_hooks, module._forward_pre_hooks):
                for key, hook in hooks.items():
                    hooks[key] = self.timed(hook)

    def timed(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def timed_hook(*args: Any) -> None:
            began = time.perf_counter()
            hook(*args)
            self.ours_s += time.perf_counter() - began

        return timed_hook

    def step(self) -> tuple[float, float]:
        """Seconds of a step, and of our code in it."""
        began = time.perf_counter()
        self.ours_s = 0.0
        self.session.batch_started({"learning_rate": 4e-3})
        started = time.perf_counter()
        returned = self.training.step()
        before_end = time.perf_counter()
        count = self.training.count
        self.session.step_ended(EndedStep("train", 0, count, None, returned))
        ended = time.perf_counter()
        return ended - began, self.ours_s + (started - began) + (ended - before_end)


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
    on: list[tuple[float, float]] = []
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
                off += [spent for spent, _ in blocks[kind]]
        medians = {k: statistics.median(spent for spent, _ in v) for k, v in blocks.items()}
        ratios.append(medians["on"] / medians["off"])
    if analyzer is not None and case == "stopped":
        analyzer.kill(signal.SIGCONT)
    outcome = publisher.close(timeout_s=2.0)
    ours = [1e6 * spent for _, spent in on]
    whole = sum(spent for spent, _ in on)
    return {
        "case": case,
        "threads": threads,
        "steps": len(on),
        "off_ms": round(1000 * statistics.median(off), 2),
        "on_ms": round(1000 * statistics.median(spent for spent, _ in on), 2),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_of_means": round(statistics.mean(s for s, _ in on) / statistics.mean(off), 4),
        "thread_us": round(statistics.median(ours), 1),
        "thread_p99_us": round(sorted(ours)[int(0.99 * len(ours))], 1),
        "thread_max_us": round(max(ours), 1),
        "thread_share_percent": round(100 * sum(ours) / 1e6 / whole, 3),
        "most_behind": max(behind),
        "totals": {stream: each.model_dump() for stream, each in outcome.totals.items()},
        "records_lost": outcome.records_lost,
    }


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
) -> list[tuple[float, float]]:
    watched = Watched(training, publisher, counters)
    watched.step()  # the first step finds cold caches in either kind of block
    times = [watched.step() for _ in range(block)]
    watched.session.remove_hooks()
    return times


def plain_block(training: Training, block: int) -> list[tuple[float, float]]:
    training.step()
    times = []
    for _ in range(block):
        began = time.perf_counter()
        training.step()
        times.append((time.perf_counter() - began, 0.0))
    return times


def catch_up(publisher: Publisher, *, waits: bool) -> None:
    """Wait until nothing is on its way, if somebody is there to take it."""
    until_s = time.monotonic() + (CATCH_UP_S if waits else 0.2)
    while time.monotonic() < until_s and (pending(publisher) or publisher.progress.records_unacked):
        time.sleep(0.02)


def pending(publisher: Publisher) -> int:
    return sum(total.pending for total in publisher.progress.totals.values())


def table(results: dict[str, Any]) -> None:
    print(
        f"{'analyzer':<10}{'threads':>8}{'off ms':>9}{'on ms':>9}{'ratio':>8}{'of means':>10}"
        f"{'thread us':>11}{'p99 us':>9}{'share %':>9}{'behind':>8}{'steps':>7}"
    )
    for case in results["cases"]:
        print(
            f"{case['case']:<10}{case['threads']:>8}{case['off_ms']:>9.2f}{case['on_ms']:>9.2f}"
            f"{case['ratio']:>8.3f}{case['ratio_of_means']:>10.3f}{case['thread_us']:>11,.0f}"
            f"{case['thread_p99_us']:>9,.0f}{case['thread_share_percent']:>9.2f}"
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
    show({"benchmark": "step_overhead", "machine": about, "cases": cases}, table, given.json)


if __name__ == "__main__":
    main()
