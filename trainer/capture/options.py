"""What a user of the callback chooses."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, get_args

from pydantic import ValidationError

from shared.errors import ConfigurationError
from shared.messages import Layer, RunStarted, Stain
from shared.naming import check_run_name, is_layer_name
from trainer.limits import Limits

FramesFrom = Literal["first", "all"]
LOCAL_DRAIN_S: Final = 600.0
REMOTE_DRAIN_S: Final = 10.0
ANALYZER_ELSEWHERE: Final = (
    "an own analyzer runs beside the analyzer, which is not started here: give it there, "
    "python -m analyzer_service serve --analyzer MODULE:CLASS"
)


@dataclass(frozen=True)
class SidecarOptions:
    """Settings of `trainer.capture.callback.SidecarCallback`, checked; see there."""

    attention: Mapping[str, str]
    activation: Mapping[str, str] = field(default_factory=dict)
    primary: str | None = None
    sidecar: str = "local"
    record: Path | None = None
    run_name: str | None = None
    project: str = "histopath-kan-auto"
    output_dir: Path = Path()
    analysis_freq: int = 100
    frame_samples: int = 4
    frames_from: FramesFrom = "first"
    stain: Stain = "unknown"
    mpp: float | None = None
    tile_size: int | None = None
    config: Mapping[str, Any] | None = None
    drain_timeout_s: float | None = None
    wandb: str | None = None
    analyzer: str | None = None
    keys: Path | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.run_name is not None:
            check_run_name(self.run_name)
        _check_sidecar(self.sidecar)
        if self.keys is not None and self.sidecar in ("local", "off"):
            raise ConfigurationError("keys are for a sidecar at tcp://HOST:PORT: give both")
        if self.analyzer is not None and self.sidecar != "local":
            raise ConfigurationError(ANALYZER_ELSEWHERE)
        if self.frames_from not in get_args(FramesFrom):
            raise ConfigurationError(f"frames_from {self.frames_from!r} must be first or all")
        _check_layers(self.attention, self.activation)
        if self.primary is not None and self.primary not in self.attention:
            raise ConfigurationError(
                f"primary layer {self.primary!r} is none of the attention layers "
                f"{sorted(self.attention)}"
            )
        self._check_facts()
        if self.enabled and self.tile_size is not None:
            self.limits.check_frame(self.frame_samples, self.tile_size)

    def _check_facts(self) -> None:
        """Refuse what a run could not be announced with."""
        names = ("project", "tile_size", "stain", "mpp", "analysis_freq", "frame_samples")
        facts = {name: getattr(self, name) for name in names}
        try:
            RunStarted(
                run_id="checked", run_name="checked", producer="rank0", started_at_ns=0, **facts
            )
        except ValidationError as error:
            problem = error.errors(include_url=False)[0]
            name, said = problem["loc"][0], problem["msg"]
            raise ConfigurationError(
                f"{name} {problem['input']!r}: {said[0].lower()}{said[1:]}"
            ) from None

    def offers_frames(self, rank: int) -> bool:
        """Whether `rank` shows images and maps, or says numbers alone."""
        return rank == 0 or self.frames_from == "all"

    @property
    def enabled(self) -> bool:
        """Whether anything is captured at all."""
        return self.sidecar != "off" or self.record is not None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """Layers as a run announces them, attention first."""
        gates = tuple(Layer(name=name, kind="attention") for name in self.attention)
        return gates + tuple(Layer(name=name, kind="activation") for name in self.activation)

    @property
    def drain_s(self) -> float:
        """Longest time to wait for the analyzer at a regular end."""
        if self.drain_timeout_s is not None:
            return self.drain_timeout_s
        return LOCAL_DRAIN_S if self.sidecar == "local" else REMOTE_DRAIN_S


def _check_sidecar(sidecar: str) -> None:
    if sidecar not in ("local", "off") and not sidecar.startswith(("tcp://", "ipc://")):
        raise ConfigurationError(f"sidecar must be local, off or tcp://HOST:PORT, got {sidecar!r}")


def _check_layers(attention: Mapping[str, str], activation: Mapping[str, str]) -> None:
    for name in (*attention, *activation):
        if not is_layer_name(name):
            raise ConfigurationError(
                f"layer name {name!r} must be letters, digits and '_', at most 64 of them"
            )
    if twice := set(attention) & set(activation):
        raise ConfigurationError(f"layer name {min(twice)!r} is both attention and activation")
