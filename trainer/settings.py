"""What the command line chooses, read once and passed on as a value."""

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import ConfigurationError
from shared.naming import check_run_name
from trainer.limits import MOST_MIB, Limits

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]
_SIDECAR = r"^(local|off|tcp://.+|ipc://.+)$"


class TrainSettings(BaseModel):
    """Flags of ``python -m trainer``; a field is a flag, ``None`` means that it was not given.

    Attributes
    ----------
    gpu : int, optional
        CUDA device; a device that is not there is an error only when it was given.
    devices : int
        Processes that train together, each on a device of its own.
    batch_size : int, optional
        Of each rank. Left out: found by `trainer.batch_size.choose_batch_size`.
    tile_size : int, optional
        Left out: 128 pixels, or what the images allow when all are smaller.
    mpp : float, optional
        Micrometers per pixel.
    max_steps : int
        Optimizer steps after which training ends; -1 for no such end.
    analyzer : str, optional
        ``module:Class`` of an own analysis, for a local analyzer.
    frames_from : {"first", "all"}
        Ranks that offer images and maps.
    keys : Path, optional
        Folder with the keys for an analyzer that asks for them.
    drain_timeout : float, optional
        Seconds to wait for the analyzer at the end.
    grace : float
        Seconds after SIGTERM within which the process has ended.
    capture_mib, pinned_mib, queue_mib, unacked_mib, journal_mib : int
        See `trainer.limits.Limits`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    gpu: int | None = Field(default=None, ge=0)
    no_cuda: bool = False
    devices: int = Field(default=1, ge=1, le=64)
    batch_size: int | None = Field(default=None, ge=1, le=65536)
    num_workers: int = Field(default=4, ge=0, le=256)
    analysis_freq: int = Field(default=100, ge=1)
    project_name: str = Field(default="histopath-kan-auto", min_length=1, max_length=128)
    data: str = Field(default="ihc", min_length=1)
    stain: Literal["he", "ihc", "auto"] = "auto"
    mpp: float | None = Field(default=None, gt=0, le=1000, allow_inf_nan=False)
    tile_size: int | None = None
    model: Literal["auto", "full", "small"] = "auto"
    epochs: int = Field(default=5, ge=1)
    max_steps: int = Field(default=-1, ge=-1)
    precision: Precision = "32-true"
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    run_name: str | None = None
    output_dir: Path = Path()
    resume: Path | None = None
    frame_samples: int = Field(default=4, ge=1, le=64)
    frames_from: Literal["first", "all"] = "first"
    sidecar: str = Field(default="local", pattern=_SIDECAR)
    keys: Path | None = None
    record: Path | None = None
    analyzer: str | None = None
    drain_timeout: float | None = Field(default=None, ge=0, allow_inf_nan=False)
    grace: float = Field(default=25.0, ge=0, allow_inf_nan=False)
    wandb: Literal["online", "offline", "disabled"] | None = None
    capture_mib: int = Field(default=Limits.capture_mib, ge=1, le=MOST_MIB)
    pinned_mib: int = Field(default=Limits.pinned_mib, ge=1, le=MOST_MIB)
    queue_mib: int = Field(default=Limits.queue_mib, ge=1, le=MOST_MIB)
    unacked_mib: int = Field(default=Limits.unacked_mib, ge=1, le=MOST_MIB)
    journal_mib: int = Field(default=Limits.journal_mib, ge=1, le=MOST_MIB)

    @property
    def limits(self) -> Limits:
        """Bounds of the sidecar."""
        return Limits(
            capture_mib=self.capture_mib,
            pinned_mib=self.pinned_mib,
            queue_mib=self.queue_mib,
            unacked_mib=self.unacked_mib,
            journal_mib=self.journal_mib,
        )


def read_settings(**flags: Any) -> TrainSettings:
    """Settings of the given flags.

    Raises
    ------
    ConfigurationError
        Naming the first flag that cannot be used.
    """
    try:
        settings = TrainSettings(**flags)
    except ValidationError as error:
        raise ConfigurationError(_first_problem(error)) from None
    if settings.gpu is not None and settings.no_cuda:
        raise ConfigurationError("--gpu and --no-cuda contradict each other: give one of them")
    if settings.gpu is not None and settings.devices > 1:
        raise ConfigurationError(
            "--gpu names one GPU, --devices asks for several: CUDA_VISIBLE_DEVICES chooses them"
        )
    if settings.keys is not None and settings.sidecar in ("local", "off"):
        raise ConfigurationError(
            "--keys is for an analyzer that runs elsewhere: give --sidecar tcp://HOST:PORT too"
        )
    if settings.analyzer is not None and settings.sidecar != "local":
        raise ConfigurationError(
            "--analyzer is for the analyzer that is started here (--sidecar local): give it to "
            "python -m analyzer_service serve instead"
        )
    if settings.run_name is not None:
        check_run_name(settings.run_name)
    if settings.max_steps == 0:
        raise ConfigurationError("--max-steps 0 trains nothing: use 1 or more, or -1 for no limit")
    return settings


def flags_to_go_on(settings: TrainSettings) -> list[str]:
    """Flags that a resume of the run needs besides ``--resume``: those that are no default.

    Without the run's name, which the checkpoint knows, and ``--record``, which begins a new file.

    Examples
    --------
    >>> flags_to_go_on(TrainSettings(data="slides", no_cuda=True, run_name="first"))
    ['--no-cuda', '--data', 'slides']
    """
    flags: list[str] = []
    for name, field in TrainSettings.model_fields.items():
        value = getattr(settings, name)
        if name in ("resume", "run_name", "record") or value == field.default:
            continue
        flags += [_flag(name)] if value is True else [_flag(name), str(value)]
    return flags


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False)[0]
    name = str(problem["loc"][0]) if problem["loc"] else ""
    flag = _flag(name)
    if name == "sidecar":
        return f"--sidecar {problem['input']!r} must be local, off or tcp://HOST:PORT"
    said = problem["msg"][0].lower() + problem["msg"][1:]
    return f"{flag} {problem['input']!r}: {said}"
