"""Steps, settings and surroundings that nobody wants: they cost what they must, and no record."""

import contextlib
import errno
import logging
import os
import pty
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    loader,
    make_trainer,
    sidecar,
)
from trainer.capture.closing import reason_of
from trainer.capture.memory import MemoryGauge
from trainer.capture.session import FitSession

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*does not have many workers", "ignore:.*`isinstance.treespec, LeafSpec.` is deprecated"
)

Publishers = list[RememberingPublisher]
BATCHES = 5


class Given(Autoencoder):
    """An autoencoder whose steps return something more, or something else."""

    def __init__(self, **given: Any) -> None:
        super().__init__()
        self.given = given

    def _step(self, batch: Tensor) -> dict[str, Tensor]:
        return super()._step(batch) | self.given


def fit(folder: Path, model: pl.LightningModule, **options: Any) -> int:
    """Fit for one epoch; returns how often watching failed."""
    callback = sidecar(**options)
    make_trainer(folder, callback, num_sanity_val_steps=0).fit(model, loader(), loader(8))
    return callback.failures


@pytest.mark.parametrize(
    "given",
    [
        {"input": torch.tensor(1.0)},
        {"mse": torch.empty((), device="meta")},
        {"mse": torch.tensor([1.0]).to_sparse()},
        {"mse": torch.tensor(1j)},
        {"mse": 10**400},
        {"mse": "small"},
    ],
    ids=["input without dimensions", "no memory", "sparse", "complex", "huge", "words"],
)
def test_whatever_a_step_gives_its_loss_is_handed_over(
    tmp_path: Path, publishers: Publishers, given: dict[str, Any]
) -> None:
    assert fit(tmp_path, Given(**given)) == 0
    scalars = [capture.scalars() for _, capture in publishers[0].batches]
    assert [("loss" in each, "mse" in each) for each in scalars] == [(True, False)] * BATCHES
    assert publishers[0].lost == 0


class Lazy(Mapping[str, Any]):
    """A batch that claims to say which samples it holds, and cannot."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __getitem__(self, name: str) -> Any:
        if name == "image":
            return self.images
        raise RuntimeError("the file is gone")

    def __contains__(self, name: object) -> bool:
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(("image", "samples"))

    def __len__(self) -> int:
        return 2


class WithLazyBatches(Autoencoder):
    def on_before_batch_transfer(self, batch: Tensor, dataloader_idx: int) -> Any:
        return Lazy(batch)

    def transfer_batch_to_device(self, batch: Any, device: Any, dataloader_idx: int) -> Any:
        return batch

    def training_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self._step(batch["image"])

    def validation_step(self, batch: Any, batch_idx: int) -> dict[str, Tensor]:
        return self._step(batch["image"])


def test_a_batch_that_cannot_say_its_samples_is_handed_over(
    tmp_path: Path, publishers: Publishers
) -> None:
    assert fit(tmp_path, WithLazyBatches()) == 0
    assert len(publishers[0].batches) == BATCHES


class WithoutRate(Autoencoder):
    """Its optimizer has no learning rate."""

    def configure_optimizers(self) -> torch.optim.Optimizer:
        class Still(torch.optim.Optimizer):
            def step(self, closure: Any = None) -> Any:
                return closure()

        return Still(self.parameters(), {})


def test_an_optimizer_without_a_learning_rate_is_timed_all_the_same(
    tmp_path: Path, publishers: Publishers
) -> None:
    assert fit(tmp_path, WithoutRate()) == 0
    scalars = publishers[0].of_phase("train")[-1][1].scalars()
    assert {"training_time_ms", "data_time_ms"} <= scalars.keys()
    assert "learning_rate" not in scalars


def test_a_step_that_cannot_be_captured_is_counted_as_lost(
    tmp_path: Path, publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: FitSession, *_: Any, **__: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(FitSession, "step_ended", fail)
    assert fit(tmp_path, Autoencoder()) == BATCHES
    assert publishers[0].lost == BATCHES


def test_memory_that_cannot_be_read_costs_no_other_number(
    tmp_path: Path, publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_gauge: MemoryGauge) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(MemoryGauge, "_read", fail)
    fit(tmp_path, Autoencoder())
    for _, capture in publishers[0].batches:
        scalars = capture.scalars()
        assert scalars["loss"] > 0
        assert scalars["memory_mb"] != scalars["memory_mb"], "undefined is NaN"


def test_an_exception_without_words_ends_the_run(tmp_path: Path, publishers: Publishers) -> None:
    class Wordless(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    class Failing(Autoencoder):
        def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
            raise Wordless

    with pytest.raises(Wordless):
        fit(tmp_path, Failing())
    assert publishers[0].closed == [("failed", "Wordless")]
    assert reason_of(ValueError("some")) == "ValueError: some"


@contextlib.contextmanager
def dead_terminal() -> Iterator[None]:
    """Standard error is a terminal whose other end is gone: what is written there fails."""
    ours, theirs = pty.openpty()
    standard, terminal = sys.stderr, os.fdopen(theirs, "w")
    terminal.isatty = lambda: True  # type: ignore[method-assign]
    sys.stderr = terminal
    os.close(ours)
    try:
        yield
    finally:
        sys.stderr = standard
        with contextlib.suppress(OSError):
            terminal.close()


def test_a_terminal_that_is_gone_keeps_no_run_from_its_end(
    tmp_path: Path, publishers: Publishers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    monkeypatch.setenv("TERM", "xterm")
    with dead_terminal():
        callback = sidecar()
        trainer = make_trainer(tmp_path, callback, num_sanity_val_steps=0)
        trainer.fit(Autoencoder(), loader(), loader(8))
    assert publishers[0].closed == [("finished", None)]
    assert callback.outcome is not None
    assert callback.failures == 0
