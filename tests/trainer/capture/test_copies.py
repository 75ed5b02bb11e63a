"""Copies of what is watched, taken in the midst of a fit, watch nothing and disturb nothing.

Averaging callbacks deep-copy the module; workers that are spawned get it by pickle.
"""

import copy
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    loader,
    make_trainer,
    read_frame,
    sidecar,
)
from tests.trainer.publish.test_copies import in_child
from trainer.capture.callback import SidecarCallback

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers",
    "ignore:.*LeafSpec",
    "ignore:.*multi-threaded.*:DeprecationWarning",
)

Copying = Callable[[Any], Any]
COPYING: dict[str, Copying] = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
}


class StepCopies(pl.Callback):
    """Copies module and callback when a forward pass is over, and runs the copies at once."""

    def __init__(self, copying: Copying, watch: SidecarCallback) -> None:
        self.copying = copying
        self.watch = watch
        self.copies: list[SidecarCallback] = []
        self.gates: list[Tensor] = []

    def on_before_backward(self, trainer: pl.Trainer, module: pl.LightningModule, _: Any) -> None:
        # What a copy returned from here on would count as the step's own, its last call.
        self.gates.append(module.branches.gate())
        copied = self.copying(module)
        with torch.no_grad():
            copied(torch.zeros(4, 3, 16, 16))
        watching = self.copying(self.watch)
        watching.log_scalar("of_a_copy", 1.0)
        watching.on_train_batch_end(trainer, module, {"loss": torch.ones(())}, None, 0)
        watching.on_fit_end(trainer, module)
        self.copies.append(watching)


class Branches:
    """What BAM's two branches returned last, and the gate that they define."""

    def __init__(self) -> None:
        self.returned: dict[str, Tensor] = {}

    def keep_channel(self, _module: Any, _args: Any, output: Tensor) -> None:
        self.returned["channel"] = output.detach().clone()

    def keep_spatial(self, _module: Any, _args: Any, output: Tensor) -> None:
        self.returned["spatial"] = output.detach().clone()

    def gate(self) -> Tensor:
        channel, spatial = self.returned["channel"], self.returned["spatial"]
        count, *_, rows, cols = spatial.shape
        logits = channel.reshape(count, -1, 1, 1) + spatial.reshape(count, 1, rows, cols)
        return logits.sigmoid().mean(dim=1)


class Remembering(Autoencoder):
    """Keeps the branches of its own steps."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = Branches()
        self.net[2].channel_attention.register_forward_hook(self.branches.keep_channel)
        self.net[2].spatial_attention.register_forward_hook(self.branches.keep_spatial)


@pytest.mark.parametrize("how", COPYING)
def test_copies_leave_the_step_that_is_watched_alone(
    tmp_path: Path, publishers: list[RememberingPublisher], how: str
) -> None:
    watch = sidecar()
    copies = StepCopies(COPYING[how], watch)
    make_trainer(tmp_path, watch, copies).fit(Remembering(), loader(), loader(8))
    [publisher] = publishers
    assert watch.failures == 0
    assert [keys.global_step for keys, _ in publisher.of_phase("train")] == [1, 2, 3]
    assert [status for status, _ in publisher.closed] == ["finished"]
    trained = publisher.of_phase("train")
    for (_, capture), gate in zip(trained, copies.gates, strict=True):
        assert "of_a_copy" not in capture.scalars()
        shown = read_frame(capture).attention["bam_6"]
        np.testing.assert_allclose(shown, gate.numpy(), atol=1e-6)
    for copied in copies.copies:
        assert (copied.failures, copied.outcome) == (0, None)


class Forks(pl.Callback):
    """Forks a child in the midst of a step and lets it do what a worker might."""

    def __init__(self, watch: SidecarCallback) -> None:
        self.watch = watch
        self.said: list[Any] = []

    def on_before_backward(self, trainer: pl.Trainer, module: pl.LightningModule, _: Any) -> None:
        def act() -> list[int]:
            with torch.no_grad():
                module(torch.zeros(1, 3, 16, 16))
            self.watch.log_scalar("of_a_child", 1.0)
            self.watch.on_train_batch_end(trainer, module, {"loss": torch.ones(())}, None, 0)
            self.watch.on_exception(trainer, module, RuntimeError("of a child"))
            self.watch.on_fit_end(trainer, module)
            hooks = sum(
                len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()
            )
            return [self.watch.failures, self.watch.counters.global_step, hooks]

        self.said.append(in_child(act))


def test_in_a_forked_child_nothing_is_watched_and_nothing_is_ended(
    tmp_path: Path, publishers: list[RememberingPublisher]
) -> None:
    watch = sidecar()
    forks = Forks(watch)
    torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
    make_trainer(tmp_path, watch, forks).fit(Autoencoder(), loader(), loader(8))
    [publisher] = publishers
    assert forks.said == [[0, step, 0] for step in range(3)]
    assert [keys.global_step for keys, _ in publisher.of_phase("train")] == [1, 2, 3]
    assert [status for status, _ in publisher.closed] == ["finished"]
    for _, capture in publisher.of_phase("train"):
        assert "of_a_child" not in capture.scalars()
        assert read_frame(capture).attention["bam_6"].shape == (4, 8, 8)
