"""Made series: a healthy run with the noise of a real one, and what can be wrong with it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from analyzer_service.alerts.engine import AlertEngine, Change
from analyzer_service.alerts.reading import SeenRow
from analyzer_service.alerts.settings import AlertSettings

START_S = 1_760_000_000.0
LAYERS = ("bam_384", "bam_16")
EPOCH = 100
Fault = Callable[[int, dict[str, float]], dict[str, float]]


def healthy(
    count: int = 1500, *, seed: int = 0, fault: Fault | None = None, **fields: Any
) -> Iterator[SeenRow]:
    """Rows of a run that learns: 100 training batches an epoch, then four of validation.

    The noise is that of a recorded demo run: losses and times jump by half of themselves, as
    small batches and a busy machine make them. `fault` gets each training step and may change
    its numbers.
    """
    generator = np.random.default_rng(seed)
    release, at_s = 0, START_S
    for step in range(1, count + 1):
        values = numbers(step, generator)
        if fault is not None:
            values |= fault(step, values)
        release, at_s = release + 1, at_s + values.pop("gap_s", 0.3)
        yield _row(release, "train", step, count, at_s, values, fields)
        if step % EPOCH == 0:
            for batch in range(4):  # the same tiles each time, so their loss jumps less
                release, at_s = release + 1, at_s + 0.2
                val = numbers(step, generator)
                noise = generator.lognormal(0, 0.05)
                val["loss"] = 0.06 * step**-0.7 * (1 + 0.2 * batch) * noise
                yield _row(release, "val", step, count, at_s, val, fields)


def numbers(step: int, generator: np.random.Generator) -> dict[str, float]:
    """Numbers of one batch."""
    slow = 3.0 if generator.random() < 0.15 else 1.0
    values = {
        "loss": float(0.06 * step**-0.7 * generator.lognormal(0, 0.4)),
        "ssim": float(0.9 - 0.8 * step**-0.5 + generator.normal(0, 0.02)),
        "training_time_ms": float(280 * slow * generator.lognormal(0, 0.15)),
        "inference_time_ms": float(110 * slow * generator.lognormal(0, 0.15)),
        "data_time_ms": float(5 * slow * generator.lognormal(0, 0.5)),
        "memory_mb": float(650 + generator.normal(0, 12)),
        "samples": 4.0,
    }
    for layer in LAYERS:
        start = f"attention_{layer}"
        values |= {
            f"{start}_attention_entropy": float(3.3 + generator.normal(0, 0.25)),
            f"{start}_attention_concentration_10": float(0.4 + generator.normal(0, 0.06)),
            f"{start}_attention_position_bias": float(generator.normal(0, 0.15)),
            f"{start}_attention_contrast": float(0.2 * generator.lognormal(0, 0.2)),
            f"{start}_low_contrast": float(generator.random() < 0.1),
            f"{start}_undefined": 0.0,
        }
    return values


def watch(
    rows: Iterable[SeenRow],
    settings: AlertSettings | None = None,
    engine: AlertEngine | None = None,
) -> list[Change]:
    """Every change of an engine that sees `rows` and the end of each epoch of theirs."""
    engine = engine or AlertEngine(settings or AlertSettings())
    changes: list[Change] = []
    before: SeenRow | None = None
    for row in rows:
        if before is not None and row.epoch != before.epoch:
            changes += engine.epoch_ended(before.epoch)
        changes += engine.row(row, LAYERS)
        before = row
    return changes


def said(changes: Iterable[Change]) -> list[tuple[str, str]]:
    """How and which, in order."""
    return [(change.how, change.name) for change in changes]


def between(first: int, last: int, change: dict[str, float] | Fault) -> Fault:
    """Numbers that are different from step `first` to `last`."""

    def fault(step: int, values: dict[str, float]) -> dict[str, float]:
        if not first <= step <= last:
            return {}
        return change(step, values) if callable(change) else change

    return fault


def _row(
    release: int,
    phase: Any,
    step: int,
    count: int,
    at_s: float,
    values: dict[str, float],
    fields: dict[str, Any],
) -> SeenRow:
    row = SeenRow(
        release=release,
        phase=phase,
        epoch=(step - 1) // EPOCH,
        step=step,
        rank=0,
        at_s=at_s,
        start=1,
        values=values,
        told=frozenset(("loss",)),
        progress=step / count,
    )
    return replace(row, **fields)
