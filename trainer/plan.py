"""Everything that can be wrong with a run's settings, found before anything is written."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.errors import ConfigurationError
from shared.naming import run_folder_name
from trainer.asking import check_own
from trainer.ranks import Chosen, file_of_rank
from trainer.settings import TrainSettings


@dataclass(frozen=True)
class Plan:
    """Where a run computes and writes.

    Attributes
    ----------
    gpu : int or None
        CUDA device, of several the first one; None for the CPU.
    model : str
        Size of the model; on a resume, that of the checkpoint.
    training_folder : Path
        Checkpoints and logs.
    run_folder : Path or None
        What the analyzer writes, when it is our own.
    """

    run_name: str
    gpu: int | None
    model: str
    training_folder: Path
    run_folder: Path | None

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.training_folder / "checkpoints"


def make_plan(settings: TrainSettings, chosen: Chosen | None = None) -> Plan:
    """Check device, names and folders; nothing is written.

    With what rank 0 has `chosen` and checked, only what this rank needs is looked at.

    Raises
    ------
    ConfigurationError
        If the run could not start, or would write over another one.
    """
    gpu = _choose_gpu(settings)
    if gpu is None and settings.precision == "16-mixed":
        raise ConfigurationError("--precision 16-mixed needs CUDA: use bf16-mixed or 32-true")
    saved = {} if settings.resume is None else _read_checkpoint(settings.resume)
    run_name = _choose_name(settings, saved) if chosen is None else chosen.run_name
    output_dir = settings.output_dir
    _check_writable(output_dir, "--output-dir")
    local = settings.sidecar == "local"
    plan = Plan(
        run_name=run_name,
        gpu=gpu,
        model=_choose_model(settings, saved, gpu),
        training_folder=output_dir / f"training_{run_name}",
        run_folder=output_dir / run_folder_name(run_name) if local else None,
    )
    if chosen is not None:
        return plan
    if settings.resume is None:
        _check_new(plan)
    if settings.record is not None:
        for rank in range(settings.devices):
            _check_record(file_of_rank(settings.record, rank))
    if settings.sidecar.startswith(("tcp://", "ipc://")):
        from shared.transport.addresses import parse_address

        parse_address(settings.sidecar)
    if local:
        check_own(settings.analyzer)
    if settings.keys is not None:
        from shared.transport.keys import load_client_keys

        load_client_keys(settings.keys)
    return plan


def _choose_gpu(settings: TrainSettings) -> int | None:
    import torch

    devices = 0 if settings.no_cuda else torch.cuda.device_count()
    if devices and settings.devices > devices:
        raise ConfigurationError(
            f"--devices {settings.devices}: this machine has only {devices} CUDA devices: "
            "ask for fewer, or use --no-cuda"
        )
    if settings.gpu is None:
        return 0 if devices else None
    if settings.gpu >= devices:
        there = f"only {devices} of them" if devices else "no CUDA device"
        raise ConfigurationError(
            f"--gpu {settings.gpu} is not there, this machine has {there}: "
            "leave --gpu out, or use --no-cuda"
        )
    return settings.gpu


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Hyperparameters that a checkpoint of ours holds."""
    import torch

    if not path.is_file():
        raise ConfigurationError(f"--resume {path}: no such file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        saved: dict[str, Any] = checkpoint["hyper_parameters"]
        return {"run_name": str(saved["run_name"]), "model": str(saved["model"])}
    except Exception as error:  # whatever unpickling raises on bytes from outside
        raise ConfigurationError(
            f"--resume {path} is not a checkpoint of this trainer ({type(error).__name__})"
        ) from None


def _choose_name(settings: TrainSettings, saved: dict[str, Any]) -> str:
    if not saved:
        return settings.run_name or time.strftime("%Y%m%d-%H%M%S")
    name: str = saved["run_name"]
    if settings.run_name not in (None, name):
        raise ConfigurationError(
            f"--run-name {settings.run_name} differs from {name}, which --resume continues: "
            "leave --run-name out"
        )
    return name


def _choose_model(settings: TrainSettings, saved: dict[str, Any], gpu: int | None) -> str:
    wanted = settings.model
    if saved:
        if wanted not in ("auto", saved["model"]):
            raise ConfigurationError(
                f"--model {wanted} differs from the checkpoint's {saved['model']}: leave it out"
            )
        return str(saved["model"])
    if wanted == "auto":
        return "small" if gpu is None else "full"
    return wanted


def _check_new(plan: Plan) -> None:
    for folder in (plan.run_folder, plan.training_folder):
        if folder is not None and folder.exists():
            raise ConfigurationError(
                f"{folder} already exists: choose another --run-name, or go on with --resume "
                f"{plan.checkpoints / 'last.ckpt'}"
            )


def _check_record(path: Path) -> None:
    if path.exists():
        raise ConfigurationError(f"--record {path} already exists: choose another file")
    _check_writable(path.parent, "--record")


def _check_writable(folder: Path, flag: str) -> None:
    """Try to write, without a trace, where `folder` is or will be."""
    existing = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"{flag} {folder} is not writable ({error.strerror}): choose another folder"
        ) from None
