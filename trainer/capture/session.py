"""One fit under watch: hooks, timers and counters between the callback and the publisher."""

from typing import Any, Protocol

import torch
from torch import nn

from trainer.capture.capturer import Capturer
from trainer.capture.counters import RunCounters
from trainer.capture.ended import EndedStep
from trainer.capture.gates import Tap
from trainer.capture.memory import MemoryGauge
from trainer.capture.outputs import StepOutputs, as_scalar, read_outputs
from trainer.capture.samples import name_samples
from trainer.capture.settings import CaptureSettings
from trainer.capture.timing import StepTimer, clock_for
from trainer.capture.values import MapTensors, Scalar, StepValues
from trainer.publish.contract import BatchKeys, Capture

_OWN_SCALARS = frozenset(
    [
        *("loss", "mse", "learning_rate", "memory_mb"),
        *("training_time_ms", "inference_time_ms", "data_time_ms"),
    ]
)


class Receiver(Protocol):
    """What a session needs of `trainer.publish.Publisher`."""

    def publish(self, keys: BatchKeys, capture: Capture) -> None:
        """Hand a batch over."""
        ...

    def epoch_ended(self, epoch: int, global_step: int) -> None:
        """Say that an epoch ended."""
        ...


class FitSession:
    """Watches one model during one fit and publishes every batch.

    Parameters
    ----------
    model : nn.Module
        What is timed.
    device : torch.device
        Where it runs.
    taps : list of Tap
        Watched layers.
    counters : RunCounters
        Advanced with every batch.
    receiver : Receiver
        Gets the batches.
    capture : CaptureSettings, optional
        Bounds for a GPU.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        *,
        taps: list[Tap],
        counters: RunCounters,
        receiver: Receiver,
        frame_samples: int = 4,
        rank: int = 0,
        capture: CaptureSettings | None = None,
    ) -> None:
        self._model = model
        self.timer = StepTimer(model, clock_for(device))
        self._memory = MemoryGauge(device)
        self._capturer = Capturer(device, capture)
        self._taps = taps
        self._counters = counters
        self._receiver = receiver
        self._frame_samples = frame_samples
        self._rank = rank
        self._started: dict[str, Scalar] = {}
        self._user: dict[str, Scalar] = {}

    def log(self, name: str, value: Any) -> None:
        """Add a scalar of the user's to the batch that ends next; what is no number is left out.

        A name that Sidelight itself uses gets the prefix ``user_``.
        """
        scalar = as_scalar(value)
        if scalar is not None:
            self._user[f"user_{name}" if name in _OWN_SCALARS else name] = scalar

    def batch_started(self, scalars: dict[str, Scalar] | None = None) -> None:
        """Forget what ran in between; `scalars` are what holds as the step begins."""
        for tap in self._taps:
            tap.clear()
        self._started = scalars or {}
        self.timer.batch_started()

    def step_ended(self, ended: EndedStep) -> None:
        """Capture the step and hand it over."""
        outputs = read_outputs(self._model, ended.returned, loss_scale=ended.loss_scale)
        keys = self._count(ended, outputs)
        times = self.timer.batch_ended(training=ended.phase == "train")
        memory: dict[str, Scalar] = {"memory_mb": self._memory.read_mb()}
        scalars = outputs.scalars | times | memory | self._started | self._user
        self._user = {}
        values = StepValues(
            input=outputs.input,
            reconstruction=outputs.reconstruction,
            maps=self._take_maps(),
            samples=name_samples(ended, rank=self._rank),
            frame_samples=self._frame_samples,
            scalars=scalars,
        )
        self._receiver.publish(keys, self._capturer.capture(values))
        self.timer.waiting()

    def epoch_ended(self, epoch: int) -> None:
        """Say that an epoch ended, its validation included."""
        self._receiver.epoch_ended(epoch, self._counters.global_step)

    def unhook(self) -> None:
        """Take the hooks away, and let go of nothing: this is a fork of the process that trains."""
        for tap in self._taps:
            tap.unhook()
        self.timer.remove()

    def remove_hooks(self) -> None:
        """Leave the model as it was."""
        for tap in self._taps:
            tap.remove()
        self.timer.remove()

    def _count(self, ended: EndedStep, outputs: StepOutputs) -> BatchKeys:
        phase_step = self._counters.count(ended.phase)
        return BatchKeys(
            phase=ended.phase,
            epoch=ended.epoch,
            batch_idx=ended.batch_idx,
            global_step=self._counters.global_step,
            phase_step=phase_step,
            rank=self._rank,
            batch_size=None if outputs.input is None else outputs.input.shape[0],
        )

    def _take_maps(self) -> tuple[MapTensors, ...]:
        taken: list[MapTensors] = []
        for tap in self._taps:
            maps = tap.take()
            if maps is not None:
                taken.append(maps)
                if any(held.changed for held in maps.held):
                    tap.copy_from_now_on()
            tap.clear()
        return tuple(taken)
