"""With the sidecar off and nothing to record, nothing of it is there."""

import subprocess
import sys
from pathlib import Path

import pytest

from shared.errors import ConfigurationError
from tests.trainer.capture.builders import (
    Autoencoder,
    RememberingPublisher,
    loader,
    make_trainer,
    sidecar,
)
from trainer.capture.callback import SidecarCallback

SCRIPT = """
import sys, threading, warnings
warnings.simplefilter("ignore")
import pytorch_lightning as pl, torch
from torch import nn
from trainer.capture.callback import SidecarCallback

class Model(pl.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 3, 1)
    def training_step(self, x, i):
        hooks.append(len(self.layer._forward_hooks) + len(self._forward_hooks))
        threads.extend(thread.name for thread in threading.enumerate())
        return self.layer(x).mean()
    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)

hooks, threads = [], []
pl.Trainer(
    max_steps=2, logger=False, enable_checkpointing=False, enable_progress_bar=False,
    callbacks=[SidecarCallback({"layer": "layer"}, sidecar="off")], accelerator="cpu",
).fit(Model(), torch.utils.data.DataLoader(torch.rand(4, 3, 8, 8)))
assert hooks == [0, 0], hooks
assert not [name for name in threads if "sidelight" in name], threads
loaded = [name for name in ("zmq", "msgpack", "mcap", "wandb") if name in sys.modules]
assert not loaded, loaded
print("nothing loaded")
"""


@pytest.mark.process
def test_no_hooks_threads_or_imports(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "nothing loaded" in run.stdout, run.stderr


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*LeafSpec")
def test_off_publishes_nothing(tmp_path: Path, publishers: list[RememberingPublisher]) -> None:
    callback = sidecar(sidecar="off")
    make_trainer(tmp_path, callback).fit(Autoencoder(), loader(), loader(8))
    assert not publishers
    assert callback.state_dict() == {}
    assert callback.outcome is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sidecar": "udp://x"}, "local, off or tcp"),
        ({"run_name": "../x"}, "plain file name"),
        ({"primary": "other"}, "none of the attention layers"),
        ({"activation": {"bam_6": "net.0"}}, "both attention and activation"),
        ({"activation": {"a b": "net.0"}}, "letters, digits and '_'"),
        ({"frame_samples": 0}, "frame_samples 0: input should be greater than or equal to 1"),
        ({"analysis_freq": 0}, "analysis_freq 0: input should be greater"),
        ({"mpp": -0.5}, "mpp -0.5: input should be greater than 0"),
        ({"tile_size": 0}, "tile_size 0: input should be greater"),
        ({"stain": "blue"}, "stain 'blue': input should be 'he', 'ihc'"),
        ({"project": "p" * 2000}, "project 'ppp.*: string should have at most 1024"),
    ],
)
def test_bad_settings_are_refused_at_once(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        SidecarCallback({"bam_6": "net.2"}, **options)  # type: ignore[arg-type]
