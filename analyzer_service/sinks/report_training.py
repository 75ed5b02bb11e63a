"""The report's training and performance parts."""

import math
from typing import Final

from analyzer_service.commit.reader import RunState
from analyzer_service.figures.wording import number, with_unit
from analyzer_service.sinks.markdown import quoted, table
from analyzer_service.sinks.phase_rows import TIMINGS
from analyzer_service.sinks.report_batches import PhaseBatches, RunBatches
from analyzer_service.sinks.report_wording import change, plural
from shared.messages import RunStarted

EPOCHS_SHOWN: Final = 30
_TITLES: Final = {"train": "Training", "val": "Validation"}
_TIMES: Final = {
    "training_time_ms": "Training step",
    "inference_time_ms": "Forward pass",
    "data_time_ms": "Waiting for data",
}


def opening(started: RunStarted, state: RunState, batches: RunBatches) -> str:
    """How the run ended, why, and how far it came; the report's first lines."""
    heads = {
        "finished": "The run **finished**",
        "failed": "The run **failed**",
        "interrupted": "The run was **interrupted**",
        "running": "The run **has not ended**; this is how it stands",
    }
    reason = f": {quoted(state.reason)}" if state.reason else ""
    train, val = batches.phases["train"], batches.phases["val"]
    epochs = len(batches.epoch_numbers("train"))
    planned = f" of {started.max_epochs} planned" if started.max_epochs else ""
    ranks = started.world_size
    together = f" A batch is that of {ranks} ranks together; its numbers are means over them."
    return (
        f"{heads[state.status]}{reason}.\n\n"
        f"It trained {plural(train.batches, 'batch')} in {plural(epochs, 'epoch')}{planned} and "
        f"validated {plural(val.batches, 'batch')}.{together if ranks > 1 else ''}"
    )


def training_table(batches: RunBatches) -> str | None:
    """First, last and best loss and SSIM of both phases; None without batches."""
    header = ["", "Batches", "Tiles"]
    header += ["Loss first → last", "Best loss", "SSIM first → last", "Best SSIM"]
    rows = [
        _phase_line(_TITLES[name], phase) for name, phase in batches.phases.items() if phase.batches
    ]
    return table(header, rows) if rows else None


def training_words(batches: RunBatches) -> str:
    """Training against validation in the last epoch that has both."""
    both = sorted(set(batches.epoch_numbers("train")) & set(batches.epoch_numbers("val")))
    if not both:
        return "There was no validation, so nothing is said about tiles that were not trained on."
    train, val = (batches.of_epoch(phase, both[-1]) for phase in ("train", "val"))
    losses = [part.get("loss", math.nan) for part in (train, val)]
    ssims = [part.get("ssim", math.nan) for part in (train, val)]
    return (
        f"In epoch {both[-1]}, the last one with both, the mean loss was {number(losses[0])} in "
        f"training and {number(losses[1])} in validation, the mean SSIM {number(ssims[0])} and "
        f"{number(ssims[1])}."
    )


def epoch_table(batches: RunBatches) -> str:
    """Means of each epoch; of a long run the first, the last and evenly chosen ones between."""
    numbers = sorted({means["epoch"] for means in batches.epochs})
    shown = _evenly(numbers, EPOCHS_SHOWN)
    rows = []
    for epoch in shown:
        parts = [batches.of_epoch(phase, epoch) for phase in ("train", "val")]
        line = [number(part.get(name, math.nan)) for name in ("loss", "ssim") for part in parts]
        rows.append([str(epoch), *line])
    header = ["Epoch", "Training loss", "Validation loss", "Training SSIM", "Validation SSIM"]
    return table(header, rows)


def performance_table(batches: RunBatches) -> str:
    """Times of a batch, memory, throughput."""
    train, val = batches.phases["train"], batches.phases["val"]
    rows = [[_TIMES[name], *_times(train, name)] for name in TIMINGS]
    rows.append(["Forward pass, validation", *_times(val, "inference_time_ms")])
    memory = train.trace("memory_mb")
    seconds = batches.last_at - batches.first_at
    own = throughput(batches)
    whole = train.tiles / seconds if seconds > 0 else math.nan
    measured = table(["Time of a batch", "Median", "95th percentile", "Batches"], rows)
    others = [
        ["Memory, first → last", f"{change(memory.first, memory.last)} MiB"],
        ["Memory, highest", with_unit(memory.high, "MiB")],
        ["Throughput of the training steps", with_unit(own, "tiles/s")],
        ["Throughput with data loading and validation", with_unit(whole, "tiles/s")],
    ]
    return f"{measured}\n\n{table(['', 'Training'], others)}"


def throughput(batches: RunBatches) -> float:
    """Tiles a second of the training steps alone, without waiting for data or validation."""
    train = batches.phases["train"]
    return train.timed_tiles / train.step_ms * 1000 if train.step_ms else math.nan


def _phase_line(title: str, phase: PhaseBatches) -> list[str]:
    loss, ssim = phase.trace("loss"), phase.trace("ssim")
    return [
        title,
        f"{phase.batches:,}",
        f"{phase.tiles:,}" if phase.tiles else "–",
        change(loss.first, loss.last),
        _best(loss.low, loss.low_step),
        change(ssim.first, ssim.last),
        _best(ssim.high, ssim.high_step),
    ]


def _best(value: float, step: int) -> str:
    return number(value) if math.isnan(value) else f"{number(value)} (batch {step:,})"


def _times(phase: PhaseBatches, name: str) -> list[str]:
    found = phase.timing(name)
    return [with_unit(found.median, "ms"), with_unit(found.high, "ms"), f"{found.n:,}"]


def _evenly(numbers: list[int], count: int) -> list[int]:
    if len(numbers) <= count:
        return numbers
    picked = {round(i * (len(numbers) - 1) / (count - 1)) for i in range(count)}
    return [numbers[i] for i in sorted(picked)]
