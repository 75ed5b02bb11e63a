"""Ranges and thresholds of the alerts: the guide's by default, or a user's TOML file."""

import tomllib
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from shared.errors import ConfigurationError

Size = Annotated[int, Field(ge=4, le=10_000)]
Batches = Annotated[int, Field(ge=40, le=1_000_000)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


def _ordered(pair: tuple[float, float]) -> tuple[float, float]:
    if pair[0] >= pair[1]:
        raise ValueError(f"give [low, high] with low < high, got [{pair[0]:g}, {pair[1]:g}]")
    return pair


Between = Annotated[tuple[Finite, Finite], AfterValidator(_ordered)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RangeSettings(_Section):
    """Good ranges of the guide: what the dashboard, the report and the alerts judge by."""

    entropy: Between = (2.0, 4.0)
    concentration: Between = (0.2, 0.6)
    sparsity: Between = (0.3, 0.7)
    center_distance: Between = (0.2, 0.5)
    peaks: Between = (1.0, 5.0)
    ssim_min: Finite = 0.8
    inference_max_ms: Positive = 200.0
    contrast_min: Positive = 0.02


class LossSettings(_Section):
    """`loss_stuck`, `loss_plateau` and `loss_rise`."""

    window: Size = 50
    stuck_batches: Batches = 200
    stuck_share: Share = 0.3
    plateau_batches: Batches = 1000
    plateau_improvement: Positive = 0.02
    rise: Positive = 0.25


class SsimSettings(_Section):
    """`ssim_not_improving`, `ssim_falling`, `ssim_low`."""

    window: Size = 50
    plateau_batches: Batches = 1000
    plateau_improvement: Positive = 0.01
    fall: Positive = 0.02
    late_share: Share = 0.8


class AttentionSettings(_Section):
    """The alerts of each attention layer."""

    window: Size = 50
    after_batches: Annotated[int, Field(ge=0)] = 100
    constant_share: Share = 0.8
    position_bias: Share = 0.8
    spread_nats: Positive = 0.6


class MemorySettings(_Section):
    """`memory_spike` and `memory_growth`."""

    spike: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 1.5
    spike_mib: Positive = 128.0
    growth_batches: Batches = 200
    growth: Positive = 0.1
    growth_mib: Positive = 64.0
    steadiness: Share = 0.7
    after_batches: Annotated[int, Field(ge=0)] = 40


class TimeSettings(_Section):
    """`inference_slow`, `inference_rising`, `step_time_rising`, `data_wait`."""

    window: Size = 50
    after_batches: Annotated[int, Field(ge=0)] = 10
    rise: Positive = 0.5
    data_wait: Share = 0.5


class FiniteSettings(_Section):
    """`not_finite`: finite batches in a row until it clears."""

    clear_batches: Annotated[int, Field(ge=1, le=10_000)] = 20


class OverfittingSettings(_Section):
    """`overfitting`: how far the validation loss is above its best, and in how many epochs."""

    rise: Positive = 0.1
    epochs: Annotated[int, Field(ge=1, le=1000)] = 3


class StalledSettings(_Section):
    """`stalled`: no batch for so long, and for so many times as long as usual."""

    seconds: Positive = 60.0
    times: Annotated[float, Field(gt=1, allow_inf_nan=False)] = 20.0


class FramesSettings(_Section):
    """`frames_dropped`: the share of the last so many frames that brought no results."""

    window: Size = 200
    share: Share = 0.1


class NotifySettings(_Section):
    """Where `serve` sends alerts beside the log: addresses that apprise understands."""

    urls: tuple[str, ...] = ()
    timeout_s: Annotated[float, Field(ge=1, le=600)] = 20.0


class AlertSettings(_Section):
    """All of it; `off` names alerts that are not wanted."""

    off: tuple[str, ...] = ()
    ranges: RangeSettings = RangeSettings()
    loss: LossSettings = LossSettings()
    ssim: SsimSettings = SsimSettings()
    attention: AttentionSettings = AttentionSettings()
    memory: MemorySettings = MemorySettings()
    time: TimeSettings = TimeSettings()
    finite: FiniteSettings = FiniteSettings()
    overfitting: OverfittingSettings = OverfittingSettings()
    stalled: StalledSettings = StalledSettings()
    frames: FramesSettings = FramesSettings()
    notify: NotifySettings = NotifySettings()

    def judged(self) -> str:
        """What alerts of a run depend on, as JSON: everything but where they are sent."""
        return self.model_dump_json(exclude={"notify"})


DEFAULT: Final = AlertSettings()


def default_file() -> str:
    """The default settings as a TOML file with its explanations."""
    return files("analyzer_service.alerts").joinpath("default.toml").read_text("utf-8")


def load_settings(path: Path, names: Iterable[str]) -> AlertSettings:
    """Settings of a TOML file; what it leaves out is as by default.

    Parameters
    ----------
    path : Path
        The file.
    names : iterable of str
        The alerts that there are, for `off`.

    Raises
    ------
    ConfigurationError
        If it cannot be read, has a key that means nothing here, or a value that cannot be.
    """
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"--alerts {path} cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--alerts {path} is no TOML: {error}") from error
    try:
        settings = AlertSettings.model_validate(found)
    except ValidationError as error:
        said = "; ".join(_in_words(each) for each in error.errors())
        raise ConfigurationError(
            f"--alerts {path}: {said} (python -m analyzer_service alerts shows every setting)"
        ) from error
    known = sorted(names)
    unknown = [name for name in settings.off if name not in known]
    if unknown:
        raise ConfigurationError(
            f"--alerts {path}: off names {', '.join(unknown)}, which is no alert; there are "
            f"{', '.join(known)}"
        )
    return settings


def _in_words(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place} is no setting"
    said = error["msg"].removeprefix("Value error, ")
    return f"{place}: {said[0].lower()}{said[1:]}, got {error['input']!r}"
