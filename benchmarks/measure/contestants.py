"""Ways to hand a batch over, each measured on the training thread."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytorch_lightning as pl
import torch

from measure.analyzer import Analyzer
from measure.loggers import LOGGERS, Missing
from measure.sidecar_step import ATTENTION, Step, lightning_trainer
from measure.stopwatch import Spent, Stopwatch
from shared.messages import Layer, RunStarted
from trainer.capture.callback import SidecarCallback
from trainer.publish import Publisher, PublishSettings

Work = Callable[[], dict[str, Any]]


class Contestant(Protocol):
    """Spends time on the training thread; `module` is what it trains."""

    module: Step

    def step(self, work: Work) -> Spent:
        """Do the work of a step and hand its values over; return what the latter took."""
        ...

    def close(self) -> None: ...


class ByCallback:
    """A Lightning callback on a module, called where Lightning calls it, with its forward hooks."""

    def __init__(self, module: Step, callback: Any) -> None:
        self.module = module
        self.callback = callback
        self.trainer = lightning_trainer(module, 100_000)
        self.count = 0
        self.stopwatch = Stopwatch()
        self.run: Callable[..., Any] = self.stopwatch.run
        callback.on_train_start(self.trainer, module)
        self.stopwatch.time_hooks(module)

    def step(self, work: Work) -> Spent:
        run, callback, trainer = self.run, self.callback, self.trainer
        module, self.count = self.module, self.count + 1
        run(callback.on_train_batch_start, trainer, module, None, self.count)
        values = work()
        for name, gate in values["maps"].items():
            module.gates[name](gate)
        run(callback.on_before_backward, trainer, module, None)
        run(self.log, values["numbers"])
        batch = [values["input"]]
        run(callback.on_train_batch_end, trainer, module, values, batch, self.count)
        return self.stopwatch.take()

    def log(self, numbers: dict[str, float]) -> None:
        log_scalar = self.callback.log_scalar
        for name, value in numbers.items():
            log_scalar(name, value)

    def close(self) -> None:
        self.callback.on_fit_end(self.trainer, self.module)


class WatchedByCallback(ByCallback):
    """`SidecarCallback`; everything goes to `record` as well, if that is given."""

    def __init__(
        self,
        name: str,
        folder: Path,
        analyzer: Analyzer,
        *,
        record: Path | None = None,
        device: str = "cpu",
    ) -> None:
        callback = SidecarCallback(
            ATTENTION,
            sidecar=analyzer.endpoint,
            record=record,
            run_name=name,
            output_dir=folder,
        )
        super().__init__(Step(device), callback)

    def close(self) -> None:
        super().close()
        print(f"{self.callback.options.run_name}: {self.callback.outcome}", file=sys.stderr)
        if self.callback.failures:
            raise RuntimeError("the callback failed; the figures mean nothing")


class Nothing(pl.Callback):
    """Does nothing where the sidecar does something: what remains is what the clocks take."""

    def on_train_start(self, _trainer: Any, pl_module: Any) -> None:
        for module in (pl_module.net, *pl_module.gates.values()):
            module.register_forward_hook(self.hook)
        pl_module.net.register_forward_pre_hook(self.hook)

    def hook(self, *args: Any) -> None:
        """A forward hook."""

    def log_scalar(self, name: str, value: float) -> None:
        """A scalar of the user's."""


class PlainBatches:
    """`Publisher.batch`, which copies on the spot."""

    def __init__(self, folder: Path, analyzer: Analyzer) -> None:
        self.module = Step()
        self.stopwatch = Stopwatch()
        run = RunStarted(
            run_id="plain",
            run_name="plain",
            producer="rank0",
            started_at_ns=time.time_ns(),
            layers=tuple(Layer(name=name, kind="attention") for name in ATTENTION),
        )
        self.publisher = Publisher.start(
            run, endpoint=analyzer.endpoint, settings=PublishSettings(journal_dir=folder)
        )
        self.count = 0

    def step(self, work: Work) -> Spent:
        self.count += 1
        self.stopwatch.run(self.hand_over, work())
        return self.stopwatch.take()

    def hand_over(self, values: dict[str, Any]) -> None:
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

    def close(self) -> None:
        print(f"batch: {self.publisher.close(timeout_s=20)}", file=sys.stderr)


class Logged:
    """One of the loggers."""

    def __init__(self, log: Any) -> None:
        self.module = Step()
        self.stopwatch = Stopwatch()
        self.log = log
        self.count = 0

    def step(self, work: Work) -> Spent:
        self.count += 1
        self.stopwatch.run(self.log, self.count, work())
        return self.stopwatch.take()

    def close(self) -> None:
        self.log.close()


def contestants(folder: Path, analyzer: Analyzer) -> dict[str, Contestant | str]:
    """All of them by name, the measured one first; a string says why one is left out."""
    found: dict[str, Contestant | str] = {
        "sidelight": WatchedByCallback("callback", folder, analyzer),
        "sidelight, recording too": WatchedByCallback(
            "recorded", folder, analyzer, record=folder / "recorded.mcap"
        ),
        "sidelight, on the GPU": on_gpu(folder, analyzer),
        "sidelight, Publisher.batch": PlainBatches(folder, analyzer),
    }
    for name, make in LOGGERS.items():
        try:
            (folder / name).mkdir()
            found[name] = Logged(make(folder / name))
        except Missing as missing:
            found[name] = str(missing)
    return found | {"nothing but the clocks": ByCallback(Step(), Nothing())}


def on_gpu(folder: Path, analyzer: Analyzer) -> Contestant | str:
    """The callback on a GPU, where waiting for the device is an error while it is measured."""
    if not torch.cuda.is_available():
        return "no CUDA device"
    contestant = WatchedByCallback("gpu", folder, analyzer, device="cuda")
    contestant.run = without_waiting(contestant.run)
    for module in contestant.module.modules():
        for hooks in (module._forward_hooks, module._forward_pre_hooks):
            for key, hook in hooks.items():
                hooks[key] = without_waiting(hook)
    return contestant


def without_waiting(call: Callable[..., Any]) -> Callable[..., Any]:
    """The same call; it raises where PyTorch would wait for the device."""

    def guarded(*args: Any) -> Any:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return call(*args)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    return guarded
