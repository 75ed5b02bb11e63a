"""DataLoaders' workers, forked and spawned while the sidecar runs: their copies are inert."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.processes import watched_fit, workers
from tests.processes.commands import ROOT, TINY
from tests.processes.scene import Scene

pytestmark = pytest.mark.process

# Start method, persistent. A spawned worker imports all of PyTorch, which takes its time.
LONG = [
    pytest.param(method, persistent, marks=pytest.mark.long)
    for method in ("fork", "spawn", "forkserver")
    for persistent in (False, True)
]


def trained(scene: Scene, module: str, method: str, persistent: bool) -> dict[str, Any]:
    """Let `module` train beside an analyzer to the end; what it wrote."""
    analyzer = scene.analyzer("--once")
    scene.until_listening(analyzer)
    outcome = scene.home / "outcome.json"
    options = ("--method", method, *(("--persistent",) if persistent else ()))
    trainer = scene.start(module, scene.endpoint, str(outcome), *options)
    assert trainer.wait(150) == 0, scene.said()
    assert analyzer.wait(60) == 0, scene.said()
    found: dict[str, Any] = json.loads(outcome.read_text())
    return found


def expect_complete(scene: Scene, said: dict[str, Any], steps: int, frames: int) -> None:
    """Each batch of the parent is there once with its frame, and nothing of any child."""
    found = scene.audit()
    found.expect_once(steps)
    found.expect_no_gap()
    assert found.frame_count == (frames, frames, 0)
    assert found.status == "finished"
    assert found.failures == {}
    assert said["complete"] is True
    assert said["journal"] is None
    assert sum(book["delivered"] for book in said["frames"].values()) == frames
    records = said["records"]
    assert records["offered"] == records["committed"] + records["lost"] + records["pending"]
    assert records["lost"] == records["pending"] == 0
    # PyTorch's own loaders complain in a fork of theirs; nothing of ours may.
    ours = rf'File "{re.escape(str(ROOT))}/(trainer|shared)/'
    assert re.search(ours, scene.said()) is None, scene.said()


@pytest.mark.parametrize(("method", "persistent"), [("fork", False), *LONG[1:]])
def test_a_bare_loop_with_workers_and_other_children(
    scene: Scene, method: str, persistent: bool
) -> None:
    said = trained(scene, "tests.processes.workers", method, persistent)
    batches = workers.EPOCHS * workers.BATCHES
    expect_complete(scene, said, steps=batches, frames=batches)
    assert said["readers"] >= 4  # two of the first loader, two of the one after the kill
    assert "as expected: " in scene.said(), "a worker was to be missed"


@pytest.mark.parametrize(("method", "persistent"), LONG)
def test_a_fit_whose_workers_hold_module_and_callback(
    scene: Scene, method: str, persistent: bool
) -> None:
    said = trained(scene, "tests.processes.watched_fit", method, persistent)
    steps = watched_fit.EPOCHS * watched_fit.TILES["train"] // watched_fit.BATCH_SIZE
    val = watched_fit.EPOCHS * watched_fit.TILES["val"] // watched_fit.BATCH_SIZE
    expect_complete(scene, said, steps=steps, frames=steps + val)
    assert said["readers"] >= 4  # two for training, two for validation


@pytest.mark.long
def test_the_trainer_with_workers_that_read_a_folder(scene: Scene) -> None:
    folder = scene.home / "tiles"
    generator = np.random.default_rng(0)
    for number in range(4):
        save_tissue(folder / f"slide_{number}.png", generator)
    trainer = scene.start(
        *("trainer", *TINY, "--num-workers", "2", "--data", str(folder)),
        *("--max-steps", "12", "--run-name", "bare", "--output-dir", "runs", "--wandb", "disabled"),
    )
    assert trainer.wait(200) == 0, scene.said()
    found = scene.audit()
    found.expect_once(12)
    found.expect_no_gap()
    offered, arrived, dropped = found.frame_count
    assert (arrived, dropped) == (offered, 0)
    assert found.status == "finished"


def save_tissue(path: Path, generator: np.random.Generator) -> None:
    """A stained image: pale pink with dark nuclei."""
    path.parent.mkdir(exist_ok=True)
    image = generator.normal((214, 150, 190), 12, size=(256, 256, 3))
    for row, col in generator.integers(8, 248, size=(120, 2)):
        image[row - 4 : row + 4, col - 4 : col + 4] = generator.normal((90, 60, 140), 10, (8, 8, 3))
    Image.fromarray(np.clip(image, 0, 255).astype(np.uint8)).save(path)
