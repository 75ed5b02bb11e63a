"""wandb offline, rerun to file and TensorBoard, each used as its own manual shows.

Each logs what Sidelight publishes: tiles, reconstructions, maps and ten scalars. What a logger
takes only as 8-bit images is converted within the measured time, as it would be in training.
"""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Missing(Exception):
    """A package that is not installed."""


def scalars_of(values: dict[str, Any]) -> dict[str, float]:
    """The ten scalars as numbers."""
    named = {"loss": values["loss"], "mse": values["mse"], "learning_rate": 0.01}
    return {name: float(value) for name, value in {**named, **values["numbers"]}.items()}


def as_uint8(images: Tensor) -> NDArray[np.uint8]:
    """Float (N, C, H, W) in [0, 1] to uint8 (N, H, W, C)."""
    return images.mul(255).byte().permute(0, 2, 3, 1).contiguous().numpy()


class Wandb:
    """``run.log`` with an image a tile, offline."""

    def __init__(self, folder: Path) -> None:
        require("wandb")
        import wandb

        self._wandb = wandb
        settings = wandb.Settings(silent=True, console="off", x_disable_stats=True)
        self._run = wandb.init(
            mode="offline", project="handoff", dir=str(folder), settings=settings
        )

    def __call__(self, step: int, values: dict[str, Any]) -> None:
        image = self._wandb.Image
        logged: dict[str, Any] = scalars_of(values)
        for name in ("input", "reconstruction"):
            logged[name] = [image(tile) for tile in as_uint8(values[name])]
        for name, gates in values["maps"].items():
            logged[name] = [image(gate) for gate in as_uint8(gates[:, None])[..., 0]]
        self._run.log(logged, step=step)

    def close(self) -> None:
        self._run.finish()


class Rerun:
    """An image a tile, a time series a scalar, to a file."""

    def __init__(self, folder: Path) -> None:
        require("rerun", "rerun-sdk")
        import rerun

        self._rerun = rerun
        rerun.init("handoff", spawn=False)
        rerun.save(folder / "handoff.rrd")

    def __call__(self, step: int, values: dict[str, Any]) -> None:
        rerun = self._rerun
        rerun.set_time("step", sequence=step)
        for name, number in scalars_of(values).items():
            rerun.log(name, rerun.Scalars(number))
        for name in ("input", "reconstruction"):
            for i, tile in enumerate(as_uint8(values[name])):
                rerun.log(f"{name}/{i}", rerun.Image(tile))
        for name, gates in values["maps"].items():
            for i, gate in enumerate(gates.numpy()):
                rerun.log(f"{name}/{i}", rerun.Tensor(gate))

    def close(self) -> None:
        self._rerun.disconnect()


class RerunWhole(Rerun):
    """The least that rerun can be given: a tensor a batch, all scalars in one call."""

    def __call__(self, step: int, values: dict[str, Any]) -> None:
        rerun = self._rerun
        rerun.set_time("step", sequence=step)
        rerun.log("scalars", rerun.Scalars(list(scalars_of(values).values())))
        for name in ("input", "reconstruction"):
            rerun.log(f"{name}/all", rerun.Tensor(as_uint8(values[name])))
        for name, gates in values["maps"].items():
            rerun.log(f"{name}/all", rerun.Tensor(gates.numpy()))

    def close(self) -> None:
        """The other one closes the file."""


class TensorBoard:
    """``add_images`` with a batch a call, ``add_scalar`` for each scalar."""

    def __init__(self, folder: Path) -> None:
        require("tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder))

    def __call__(self, step: int, values: dict[str, Any]) -> None:
        for name, number in scalars_of(values).items():
            self._writer.add_scalar(name, number, step)
        for name in ("input", "reconstruction"):
            self._writer.add_images(name, values[name], step)
        for name, gates in values["maps"].items():
            self._writer.add_images(name, gates[:, None], step)

    def close(self) -> None:
        self._writer.close()


LOGGERS: Final[dict[str, Callable[[Path], Any]]] = {
    "wandb offline": Wandb,
    "rerun to file": Rerun,
    "rerun to file, whole arrays": RerunWhole,
    "TensorBoard": TensorBoard,
}


def require(module: str, package: str | None = None) -> None:
    """Raise `Missing` unless `module` is installed."""
    if find_spec(module) is None:
        raise Missing(f"{package or module} is not installed: pip install -e '.[bench]'")
