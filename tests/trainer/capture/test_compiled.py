"""Models that are compiled train on, and show what they show without a compiler."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch

from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    loader,
    make_trainer,
    read_frame,
    sidecar,
    tiles,
)
from trainer.capture.gates import Taps
from trainer.capture.timing import HostClock, StepTimer

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch's compiler warns of itself


class Unchanging(Autoencoder):
    """Learns nothing, so that any step can be checked afterwards; its BatchNorm stands still."""

    def __init__(self) -> None:
        super().__init__()
        self.net[1] = torch.nn.Identity()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)

    def _step(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        output = self(batch)
        loss = torch.nn.functional.mse_loss(output, batch)
        return {"loss": loss, "input": batch, "reconstruction": output}


def compile_all(model: Unchanging) -> Any:
    return torch.compile(model, backend="eager")


def compile_gate(model: Unchanging) -> pl.LightningModule:
    model.net[2].compile(backend="eager")
    return model


@pytest.mark.parametrize("compiled", [compile_gate, compile_all])
def test_a_compiled_model_trains_and_shows_its_gate(
    tmp_path: Path,
    publishers: list[RememberingPublisher],
    compiled: Callable[[Unchanging], Any],
) -> None:
    torch._dynamo.reset()
    model = Unchanging()
    watch = sidecar()
    # What is compiled in a sanity check, before the layers are hooked, calls no hooks later on.
    make_trainer(tmp_path, watch, num_sanity_val_steps=0).fit(compiled(model), loader(), loader(8))
    [publisher] = publishers
    assert watch.failures == 0
    trained = publisher.of_phase("train")
    assert [keys.global_step for keys, _ in trained] == [1, 2, 3]
    for index, (_, capture) in enumerate(trained):
        frame = read_frame(capture)
        assert frame.input.shape == (4, 16, 16, 3)
        expected = gates(model, tiles(12)[4 * index : 4 * index + 4])
        np.testing.assert_allclose(frame.attention["bam_6"], expected, atol=1e-5)
    assert all(read_frame(capture).attention for _, capture in publisher.of_phase("val"))


def gates(model: Unchanging, images: torch.Tensor) -> np.ndarray[Any, Any]:
    """BAM's gate of a training batch, by its definition, without any compiler."""
    model.train()
    with torch.no_grad():
        features = model.net[0](images)
        channel = model.net[2].channel_attention(features).reshape(len(images), -1, 1, 1)
        spatial = model.net[2].spatial_attention(features)[:, None]
    return (channel + spatial).sigmoid().mean(dim=1).numpy()


def test_the_compiler_makes_no_constants_of_times() -> None:
    torch._dynamo.reset()
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))
    timer = StepTimer(model, HostClock())
    compiled = torch.compile(model, backend="eager")
    seen: list[float] = []
    for _ in range(4):
        timer.batch_started()
        compiled(torch.zeros(1, 2))
        _, _, entered, left, _ = timer.marks(training=False)
        seen += [entered, left]
    assert seen == sorted(set(seen))


@pytest.mark.parametrize("inference", [False, True])
def test_the_compiler_leaves_hooks_alone(inference: bool) -> None:
    """Each call's own tensor is kept: the very one, or a copy that was made before a write."""
    torch._dynamo.reset()
    gate = torch.nn.Sigmoid()
    taps = Taps(torch.nn.ModuleDict({"gate": gate}), {"gate": "gate"}, {}, samples=4)
    compiled = torch.compile(torch.nn.Sequential(gate, torch.nn.Identity()), backend="eager")
    for level in range(4):
        taps.clear(inference=inference)
        images = torch.full((2, 3, 3), float(level))
        with torch.inference_mode(inference):
            output = compiled(images)
            [part] = taps.kept
            assert part is not None
            assert (part[0].data_ptr() == output.data_ptr()) is not inference
            if inference:
                output.zero_()
        torch.testing.assert_close(part[0], images.sigmoid())
    reasons = str(torch._dynamo.utils.counters["graph_break"])
    assert "_Keeper.keep" in reasons  # it was met, and not traced
