"""Which rules watch a run, each with its thresholds and its words."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer_service.alerts.finite import NotFiniteRule
from analyzer_service.alerts.levels import LevelRule, Limit, SpreadRule
from analyzer_service.alerts.memory import SpikeRule
from analyzer_service.alerts.overfitting import OverfittingRule
from analyzer_service.alerts.reading import Rule, SeenRow
from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.alerts.shares import Part, ShareRule
from analyzer_service.alerts.stalled import StalledRule
from analyzer_service.alerts.trends import GrowthRule, PlateauRule, StuckRule
from analyzer_service.alerts.worsening import WorseningRule

_HYSTERESIS: Final = 0.05
# How many times the improvement that it lacks ends a plateau: losses are noisier than SSIM.
_LOSS_CLEARS: Final = 10.0
_SSIM_CLEARS: Final = 3.0
_SPEED: Final = (
    "Look at what else the machine does, at clocks and heat, and at work that grows with the steps."
)
_FEW_FRAMES: Final = 50


def rules_of_run(settings: AlertSettings) -> list[Rule]:
    """What is watched once, in the rows of rank 0."""
    return [*_loss(settings), *_ssim(settings), *_times(settings), _overfitting(settings)]


def rules_of_rank(settings: AlertSettings) -> list[Rule]:
    """What is watched in the rows of each rank: its process, its frames, what is not finite."""
    memory, frames, stalled = settings.memory, settings.frames, settings.stalled
    return [
        NotFiniteRule(clear=settings.finite.clear_batches),
        SpikeRule(times=memory.spike, least_mib=memory.spike_mib, after=memory.after_batches),
        GrowthRule(
            batches=memory.growth_batches,
            share=memory.growth,
            least_mib=memory.growth_mib,
            steadiness=memory.steadiness,
            after=memory.after_batches,
        ),
        ShareRule(
            name="data_wait",
            part=_data_wait,
            most=settings.time.data_wait,
            window=settings.time.window,
            after=settings.time.after_batches,
            of_process=True,
            seen="{share} of the time of the last {window} batches went into waiting for data.",
            advice="Look at the number of data loader workers, at decoding, and at the storage.",
        ),
        StalledRule(seconds=stalled.seconds, times=stalled.times),
        ShareRule(
            name="frames_dropped",
            part=_without_results,
            most=frames.share,
            window=frames.window,
            least=min(frames.window, _FEW_FRAMES),
            seen="{share} of the frames of the last {window} batches brought no results.",
            advice="The report says why they were dropped; look at the analyzer's workers, and at "
            "its distance from the trainer.",
        ),
    ]


def rules_of_layers(settings: AlertSettings, layers: Sequence[str]) -> Iterator[Rule]:
    """What is watched of each attention layer, in the rows of rank 0."""
    for layer in layers:
        yield NotFiniteRule(layer=layer, clear=settings.finite.clear_batches)
        yield from _attention(settings, layer)


def _loss(settings: AlertSettings) -> list[Rule]:
    loss = settings.loss
    return [
        StuckRule(batches=loss.stuck_batches, near=loss.stuck_share),
        PlateauRule(
            name="loss_plateau",
            key="loss",
            label="The loss",
            improvement=loss.plateau_improvement,
            relative=True,
            worse=loss.rise,
            batches=loss.plateau_batches,
            clears=_LOSS_CLEARS,
            advice="Look at the learning rate and its schedule; or the model has learned what it "
            "can from these data.",
        ),
        WorseningRule(
            name="loss_rise",
            key="loss",
            label="The loss",
            margin=loss.rise,
            relative=True,
            window=loss.window,
            early=True,
            restarts=True,
            advice="Look at the learning rate, and at what changed since then.",
        ),
    ]


def _ssim(settings: AlertSettings) -> list[Rule]:
    ssim, low = settings.ssim, settings.ranges.ssim_min
    return [
        PlateauRule(
            name="ssim_not_improving",
            key="ssim",
            label="SSIM",
            worst="low",
            improvement=ssim.plateau_improvement,
            relative=False,
            worse=ssim.fall,
            batches=ssim.plateau_batches,
            clears=_SSIM_CLEARS,
            enough=low,
            advice=f"It is below {low:g}. Look at the reconstructions, and at the loss: MSE alone "
            "rewards blur.",
        ),
        WorseningRule(
            name="ssim_falling",
            key="ssim",
            label="SSIM",
            worst="low",
            margin=ssim.fall,
            relative=False,
            window=ssim.window,
            restarts=True,
            advice="Look at the reconstructions of both steps in the dashboards.",
        ),
        LevelRule(
            name="ssim_low",
            limits=(Limit("ssim", "SSIM", "below", low, low + 0.01),),
            worst="low",
            window=ssim.window,
            wanted=lambda row: row.progress >= ssim.late_share,
            advice=f"More than {100 * ssim.late_share:g} % of the planned steps are done. Look at "
            "the reconstructions; the model may need more steps or capacity.",
        ),
    ]


def _times(settings: AlertSettings) -> list[Rule]:
    time, most = settings.time, settings.ranges.inference_max_ms
    rising = [
        WorseningRule(
            name=name,
            key=key,
            label=label,
            unit="ms",
            margin=time.rise,
            relative=True,
            window=time.window,
            after=time.after_batches,
            of_process=True,
            advice=_SPEED,
        )
        for name, key, label in (
            ("inference_rising", "inference_time_ms", "The time of the forward pass"),
            ("step_time_rising", "training_time_ms", "The time of a training step"),
        )
    ]
    slow = LevelRule(
        name="inference_slow",
        limits=(
            Limit(
                "inference_time_ms", "The time of the forward pass", "above", most, 0.9 * most, "ms"
            ),
        ),
        share=0.25,
        window=time.window,
        after=time.after_batches,
        of_process=True,
        advice="Look at the batch size, the device, and the number of threads.",
    )
    return [slow, *rising]


def _overfitting(settings: AlertSettings) -> Rule:
    return OverfittingRule(rise=settings.overfitting.rise, epochs=settings.overfitting.epochs)


def _attention(settings: AlertSettings, layer: str) -> list[Rule]:
    attention, ranges = settings.attention, settings.ranges
    start = f"attention_{layer}"
    entropy, concentration = (
        (f"{start}_attention_entropy", "Attention entropy", "nats", ranges.entropy),
        (
            f"{start}_attention_concentration_10",
            "Attention concentration",
            "",
            ranges.concentration,
        ),
    )
    bias = attention.position_bias

    def tells(row: SeenRow) -> bool:
        """Whether its maps are more than noise: METRICS.md's floor of the contrast."""
        return row.number(f"{start}_attention_contrast") >= ranges.contrast_min

    def limit(of: tuple[str, str, str, tuple[float, float]], high: bool) -> Limit:
        key, label, unit, (below, above) = of
        inside = _HYSTERESIS * (above - below)
        if high:
            return Limit(key, label, "above", above, above - inside, unit)
        return Limit(key, label, "below", below, below + inside, unit)

    def level(name: str, limits: tuple[Limit, ...], advice: str) -> Rule:
        return LevelRule(
            name=name,
            layer=layer,
            limits=limits,
            window=attention.window,
            after=attention.after_batches,
            wanted=tells,
            worst="low" if limits[0].side == "below" else "high",
            advice=advice,
        )

    return [
        level(
            "attention_concentrated",
            (limit(entropy, False), limit(concentration, True)),
            "It may miss context: look at what the maps pick in the dashboards.",
        ),
        level(
            "attention_diffuse",
            (limit(entropy, True), limit(concentration, False)),
            "It may miss what matters: look at the maps in the dashboards, and at their contrast.",
        ),
        level(
            "attention_ignores_content",
            (
                Limit(
                    f"{start}_attention_position_bias",
                    "Position bias",
                    "above",
                    bias,
                    0.9 * bias,
                ),
            ),
            "Different tiles get nearly the same map: look for a habit of the layer (its border, "
            "the center), and whether its parameters learn.",
        ),
        SpreadRule(
            name="attention_unstable",
            layer=layer,
            key=entropy[0],
            label=entropy[1],
            unit="nats",
            most=attention.spread_nats,
            window=attention.window,
            after=attention.after_batches,
            wanted=tells,
            advice="Look at the learning rate, and at the batch size.",
        ),
        ShareRule(
            name="attention_constant",
            layer=layer,
            part=_constant(start),
            most=attention.constant_share,
            window=attention.window,
            after=attention.after_batches,
            seen=f"{{share}} of the maps of {layer} over {{window}} batches are constant or weak.",
            advice="The layer attends to nothing: look whether its parameters learn, and for a "
            "dead ReLU in its spatial branch.",
        ),
    ]


def _constant(start: str) -> Part:
    def part(row: SeenRow) -> tuple[float, float]:
        tiles = row.number("samples")
        return row.number(f"{start}_low_contrast"), tiles if tiles > 0 else math.nan

    return part


def _data_wait(row: SeenRow) -> tuple[float, float]:
    wait = row.number("data_time_ms")
    return wait, wait + row.number("training_time_ms")


def _without_results(row: SeenRow) -> tuple[float, float]:
    missing = not row.number("samples") > 0
    return float(missing), 1.0 if row.offered else math.nan
