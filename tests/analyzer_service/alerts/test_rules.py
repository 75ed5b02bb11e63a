"""Each alert on made series: fires on its fault alone, once, and clears when that is over."""

import math
from dataclasses import replace

import numpy as np
import pytest

from analyzer_service.alerts.reading import SeenRow
from analyzer_service.alerts.settings import AlertSettings
from analyzer_service.alerts.titles import TITLES
from tests.analyzer_service.alerts.series import (
    LAYERS,
    Fault,
    between,
    healthy,
    said,
    watch,
)

GATE = f"attention_{LAYERS[0]}"


def grows(mib: float) -> Fault:
    return lambda step, values: {"memory_mb": values["memory_mb"] + mib * (step - 400)}


def times(name: str, factor: float) -> Fault:
    return lambda _, values: {name: values[name] * factor}


def plus(name: str, by: float) -> Fault:
    return lambda _, values: {name: values[name] + by}


def unstable(step: int, values: dict[str, float]) -> dict[str, float]:
    swing = 1.2 if step % 2 else -1.2
    return {f"{GATE}_attention_entropy": 3.0 + swing}


def rising_step_time(step: int, values: dict[str, float]) -> dict[str, float]:
    return {"training_time_ms": values["training_time_ms"] * 4}


FAULTS: dict[str, Fault] = {
    "loss_rise": between(500, 700, times("loss", 3)),
    "ssim_falling": between(500, 700, plus("ssim", -0.15)),
    "attention_concentrated": between(500, 700, {f"{GATE}_attention_entropy": 1.5}),
    "attention_diffuse": between(500, 700, {f"{GATE}_attention_concentration_10": 0.15}),
    "attention_constant": between(
        500,
        700,
        {
            f"{GATE}_low_contrast": 4.0,
            f"{GATE}_attention_entropy": math.log(64),
            f"{GATE}_attention_concentration_10": 0.1,
            f"{GATE}_attention_contrast": 0.0,
            f"{GATE}_attention_position_bias": math.nan,
        },
    ),
    "attention_ignores_content": between(500, 700, {f"{GATE}_attention_position_bias": 0.9}),
    "attention_unstable": between(500, 700, unstable),
    "memory_spike": between(500, 500, plus("memory_mb", 600)),
    "memory_growth": between(400, 800, grows(1.0)),
    "inference_rising": between(500, 700, times("inference_time_ms", 1.75)),
    "step_time_rising": between(500, 700, rising_step_time),
    "data_wait": between(500, 700, times("data_time_ms", 200)),
    "not_finite": between(500, 500, {"loss": math.nan}),
    "stalled": between(500, 500, {"gap_s": 400.0}),
    "frames_dropped": between(500, 700, {"samples": 0.0}),
}


@pytest.mark.parametrize("seed", range(2))
def test_a_healthy_run_raises_nothing(seed: int) -> None:
    assert watch(healthy(3000, seed=seed)) == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_raises_its_own_alert_once_and_it_clears(name: str) -> None:
    changes = watch(healthy(1200, fault=FAULTS[name]))
    assert said(changes) == [("fired", name), ("cleared", name)]
    fired, cleared = changes
    assert 400 <= fired.row.step <= 800
    assert fired.row.step <= cleared.row.step <= 1100
    assert fired.since[0] <= fired.row.step
    assert fired.since == cleared.since
    assert len(fired.sentence) > 40
    assert fired.sentence.endswith(".")
    assert not cleared.sentence


@pytest.mark.parametrize(
    "name", ["loss_rise", "attention_constant", "memory_growth", "not_finite", "stalled"]
)
def test_what_ended_may_come_again(name: str) -> None:
    shift = 700

    def twice(step: int, values: dict[str, float]) -> dict[str, float]:
        again = step - shift if step > shift else step
        return FAULTS[name](again, values)

    changes = watch(healthy(1900, fault=twice))
    assert said(changes) == 2 * [("fired", name), ("cleared", name)]


def test_a_slow_forward_pass_is_above_the_range_and_rose() -> None:
    changes = watch(healthy(fault=between(500, 700, times("inference_time_ms", 4))))
    assert sorted(said(changes)) == sorted(
        (how, name)
        for name in ("inference_slow", "inference_rising")
        for how in ("fired", "cleared")
    )


def test_a_loss_that_rests_is_a_plateau_from_where_it_was_best() -> None:
    rests = between(800, 2300, lambda step, values: {"loss": values["loss"] * (step / 800) ** 0.7})
    changes = watch(healthy(3600, fault=rests))
    assert said(changes) == [("fired", "loss_plateau"), ("cleared", "loss_plateau")]
    assert 500 <= changes[0].since[0] <= 1200
    assert "since step" in changes[0].sentence


def test_ssim_that_rests_below_its_range_does_not_improve() -> None:
    fault = between(20, 1500, {"ssim": 0.72})
    changes = watch(healthy(fault=fault))
    assert ("fired", "ssim_not_improving") in said(changes)
    assert ("fired", "ssim_low") in said(changes)


def test_ssim_that_rests_inside_its_range_is_good_enough() -> None:
    changes = watch(healthy(fault=between(300, 1500, {"ssim": 0.86})))
    assert "ssim_not_improving" not in {change.name for change in changes}


def test_ssim_is_low_only_late_in_the_run() -> None:
    fault = between(1, 1500, lambda step, _: {"ssim": 0.5 + step * 1e-4})
    changes = [change for change in watch(healthy(fault=fault)) if change.name == "ssim_low"]
    assert said(changes) == [("fired", "ssim_low")]
    assert changes[0].row.step >= 0.8 * 1500


def test_a_run_that_is_worse_than_untrained_has_a_rising_loss() -> None:
    """The learning rate is much too high: it explodes at once, and there was no better window."""
    fault = between(3, 1500, times("loss", 400))
    changes = watch(healthy(400, fault=fault))
    assert ("fired", "loss_rise") in said(changes)
    assert changes[0].row.step < 100


def test_a_loss_near_where_it_began_is_stuck_until_it_falls() -> None:
    def stuck(step: int, values: dict[str, float]) -> dict[str, float]:
        noise = values["loss"] / (0.06 * step**-0.7)
        return {"loss": 0.06 * (1 if step < 3 else 0.75 * noise**0.5)} if step < 500 else {}

    changes = watch(healthy(900, fault=stuck))
    assert said(changes) == [("fired", "loss_stuck"), ("cleared", "loss_stuck")]
    assert changes[0].row.step <= 260
    assert "the very first one was 0.0600" in changes[0].sentence


def test_overfitting_is_seen_as_epochs_end() -> None:
    rows = list(healthy(1500))
    worse = [
        row
        if row.phase == "train" or row.epoch < 5
        else _with_loss(row, 0.004 + 0.0008 * (row.epoch - 5))
        for row in rows
    ]
    changes = [change for change in watch(worse) if change.name == "overfitting"]
    assert said(changes) == [("fired", "overfitting")]
    assert "validation loss rose" in changes[0].sentence


@pytest.mark.parametrize("seed", range(3))
def test_validation_that_is_noisy_is_no_overfitting(seed: int) -> None:
    """A few validation batches that jump by 30 %: the best of 30 epochs was the luckiest."""
    generator = np.random.default_rng(seed)
    rows = [
        row
        if row.phase == "train"
        else _with_loss(row, 0.06 * row.step**-0.7 * generator.lognormal(0, 0.3))
        for row in healthy(3000, seed=seed)
    ]
    assert "overfitting" not in {change.name for change in watch(rows)}


def test_overfitting_is_seen_through_noise() -> None:
    generator = np.random.default_rng(0)
    rows = [
        row
        if row.phase == "train"
        else _with_loss(row, 0.003 * (1 + abs(row.epoch - 6) / 8) * generator.lognormal(0, 0.2))
        for row in healthy(3000)
    ]
    changes = [change for change in watch(rows) if change.name == "overfitting"]
    assert said(changes) == [("fired", "overfitting")]
    assert 4 <= changes[0].row.epoch - 6 <= 14


def restart(step: int, values: dict[str, float]) -> dict[str, float]:
    """Cosine with warm restarts: each throws the loss back to three times itself for a while."""
    cycle = step % 600
    back = 1.0 + (2.0 * (1.0 - cycle / 150) if step > 600 and cycle < 150 else 0.0)
    return {
        "loss": values["loss"] * back,
        "learning_rate": 5e-4 * (1 + math.cos(math.pi * cycle / 600)) + 1e-6,
    }


def test_a_warm_restart_of_the_learning_rate_is_no_rise() -> None:
    assert watch(healthy(2000, fault=restart)) == []

    def untold(step: int, values: dict[str, float]) -> dict[str, float]:
        return {"loss": restart(step, values)["loss"]}

    assert ("fired", "loss_rise") in said(watch(healthy(2000, fault=untold)))


def test_what_a_jump_of_the_learning_rate_broke_is_still_broken_later() -> None:
    def broken(step: int, values: dict[str, float]) -> dict[str, float]:
        rate = 1e-3 if step < 700 else 0.1
        return {"loss": values["loss"] * (20 if step >= 700 else 1), "learning_rate": rate}

    fired = next(c for c in watch(healthy(1200, fault=broken)) if c.name == "loss_rise")
    assert 700 + 200 <= fired.row.step <= 700 + 210


@pytest.mark.parametrize(("mib", "count"), [(0.3, 1500), (0.1, 3000)])
def test_a_slow_leak_is_seen_over_more_batches(mib: float, count: int) -> None:
    def leak(step: int, values: dict[str, float]) -> dict[str, float]:
        return {"memory_mb": values["memory_mb"] + mib * step}

    changes = [c for c in watch(healthy(count, fault=leak)) if c.name == "memory_growth"]
    assert said(changes) == [("fired", "memory_growth")]


def test_memory_that_settles_is_no_growth_for_ever() -> None:
    def settles(step: int, values: dict[str, float]) -> dict[str, float]:
        return {"memory_mb": values["memory_mb"] + 60 * (1 - math.exp(-step / 200))}

    assert watch(healthy(3000, fault=settles)) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_loss_that_falls_slowly_after_a_warm_up_is_not_stuck(seed: int) -> None:
    def warms_up(step: int, values: dict[str, float]) -> dict[str, float]:
        noise = values["loss"] / (0.06 * step**-0.7)
        return {"loss": 0.06 * noise * max(1.0, step / 80) ** -0.5}

    changes = watch(healthy(900, seed=seed, fault=warms_up))
    assert "loss_stuck" not in {change.name for change in changes}


def test_infinity_and_broken_maps_are_named() -> None:
    loss = watch(healthy(fault=between(500, 502, {"loss": math.inf})))
    maps = watch(healthy(fault=between(500, 502, {f"{GATE}_undefined": 2.0})))
    assert said(loss) == said(maps) == [("fired", "not_finite"), ("cleared", "not_finite")]
    assert (loss[0].layer, maps[0].layer) == (None, LAYERS[0])
    assert "loss is inf" in loss[0].sentence
    assert LAYERS[0] in maps[0].sentence


def test_a_loss_that_the_trainer_never_says_is_no_nan() -> None:
    fault = between(1, 600, {"loss": math.nan})
    assert watch(healthy(600, fault=fault, told=frozenset())) == []


def test_a_batch_without_a_frame_of_its_own_is_no_dropped_one() -> None:
    assert watch(healthy(600, fault=between(1, 600, {"samples": 0.0}), offered=False)) == []


def test_alerts_that_are_off_say_nothing() -> None:
    fault = FAULTS["memory_growth"]
    assert watch(healthy(fault=fault), AlertSettings(off=("memory_growth",))) == []


def test_every_alert_is_tested_here() -> None:
    others = {
        "loss_stuck",
        "loss_plateau",
        "ssim_not_improving",
        "ssim_low",
        "inference_slow",
        "overfitting",
    }
    assert set(FAULTS) | others == set(TITLES)


def _with_loss(row: SeenRow, loss: float) -> SeenRow:
    return replace(row, values={**row.values, "loss": loss})
