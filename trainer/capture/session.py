"""One fit under watch: hooks, timers and counters between the callback and the publisher."""

from time import perf_counter
from typing import Any, Final, Protocol

import torch
from torch import Tensor, nn

from shared.messages import Phase
from trainer.capture.capturer import capturing
from trainer.capture.counters import RunCounters
from trainer.capture.gates import Taps
from trainer.capture.memory import MemoryGauge
from trainer.capture.outputs import as_scalar, read_outputs
from trainer.capture.samples import fields_of
from trainer.capture.settings import CaptureSettings
from trainer.capture.timing import StepTimer, clock_for
from trainer.capture.values import Watched
from trainer.publish.contract import BatchKeys, Capture

_NO_IMAGES: Final = (None, None)


class Receiver(Protocol):
    """What a session needs of `trainer.publish.Publisher`."""

    longest_handoff_s: float

    def publish(self, keys: BatchKeys, capture: Capture) -> None:
        """Hand a batch over."""
        ...

    def count_lost(self) -> None:
        """Count a batch that could not be captured."""
        ...

    def epoch_ended(self, epoch: int, global_step: int) -> None:
        """Say that an epoch ended."""
        ...


class FitSession:
    """Watches one model during one fit and publishes every batch.

    What runs in every step is written for cold caches: each function, class or attribute that
    is touched for the first time since the step's own work costs a microsecond or more, however
    little it does. So there are few of them, and whatever can be done later is left to the
    sender thread.

    Parameters
    ----------
    model : nn.Module
        What is timed.
    device : torch.device
        Where it runs.
    taps : Taps
        Watched layers.
    counters : RunCounters
        Advanced with every batch.
    receiver : Receiver
        Gets the batches.
    frames : bool
        Whether images and maps are offered, or numbers alone.
    capture : CaptureSettings, optional
        Bounds for a GPU.

    Attributes
    ----------
    epoch : int
        Epoch of the batches to come.
    """

    def __init__(
        self,
        model: nn.Module,
        device: torch.device,
        *,
        taps: Taps,
        counters: RunCounters,
        receiver: Receiver,
        frame_samples: int = 4,
        rank: int = 0,
        frames: bool = True,
        capture: CaptureSettings | None = None,
    ) -> None:
        self.timer = StepTimer(model, clock_for(device))
        self.epoch = 0
        watched = Watched(taps.layers, frame_samples, self.timer.times, MemoryGauge(device))
        self._capture = capturing(device, watched, capture)
        self._attributes = vars(model)
        self._taps = taps
        self._counters = counters
        self._receiver = receiver
        self._rank = rank
        self._frames = frames
        self._learning_rate: Any = None
        self._logged: dict[str, Any] = {}

    def log(self, name: str, value: Any) -> None:
        """Add a scalar of the user's to the batch that ends next; what is no number is left out.

        A name that Sidelight itself uses gets the prefix ``user_`` later on.
        """
        self._logged[name] = value if value.__class__ is float else as_scalar(value)

    def batch_started(self, phase: Phase, learning_rate: Any = None) -> None:
        """Forget what ran in between; `learning_rate` is what the step begins with."""
        self._taps.clear(inference=phase == "val")
        if isinstance(learning_rate, Tensor):  # the step may write to it
            learning_rate = learning_rate.clone()
        self._learning_rate = learning_rate
        self.timer.batch_started()

    def step_ended(
        self,
        phase: Phase,
        batch_idx: int,
        batch: Any,
        returned: Any,
        loss_scale: float = 1.0,
        *,
        loader_idx: int = 0,
    ) -> None:
        """Capture the step and hand it over.

        Parameters
        ----------
        returned : Any
            What the step returned, with tensors as they are.
        loss_scale : float
            Factor that undoes Lightning's division of the loss by ``accumulate_grad_batches``.
        loader_idx : int
            Which validation loader the batch came from.
        """
        began_s = perf_counter()
        timer, counters = self.timer, self._counters
        marks = timer.marks(training=phase == "train")
        clean, output, loss, mse = read_outputs(self._attributes, returned, loss_scale)
        batch_size = clean.shape[0] if isinstance(clean, Tensor) and clean.ndim else None
        phase_step = counters.count(phase)
        keys = BatchKeys(
            phase, self.epoch, batch_idx, counters.global_step, phase_step, self._rank, batch_size
        )
        logged, self._logged = self._logged, {}
        numbers = loss, mse, self._learning_rate
        facts = keys, loader_idx, fields_of(batch), marks
        images = (clean, output) if self._frames else _NO_IMAGES
        capture = self._capture(images, self._taps.take(), numbers, logged, facts)
        self._receiver.publish(keys, capture)
        timer.idle_since_s = now_s = perf_counter()
        if now_s - began_s > self._receiver.longest_handoff_s:
            self._receiver.longest_handoff_s = now_s - began_s

    def step_lost(self) -> None:
        """Count a step that `step_ended` could not hand over."""
        self._receiver.count_lost()

    def epoch_ended(self, epoch: int) -> None:
        """Say that an epoch ended, its validation included."""
        self._receiver.epoch_ended(epoch, self._counters.global_step)

    def unhook(self) -> None:
        """Take the hooks away, and let go of nothing: this is a fork of the process that trains."""
        self._taps.unhook()
        self.timer.remove()

    def remove_hooks(self) -> None:
        """Leave the model as it was."""
        self._taps.remove()
        self.timer.remove()
