"""Messages made of a capture's values, on the sender thread."""

import logging
from collections.abc import Iterable, Mapping
from typing import Final

from shared.messages import BatchFrame, BatchMetrics, DropNotice, DropReason, FrameRef, Stream
from shared.sequences import RangeSet
from shared.texts import readable
from trainer.publish.contract import FrameArrays
from trainer.publish.frames import Drop
from trainer.publish.inbox import Handed

log = logging.getLogger(__name__)

_MOST_NAME: Final = 200

_FIELDS = (
    "loss",
    "mse",
    "training_time_ms",
    "inference_time_ms",
    "data_time_ms",
    "memory_mb",
)


def batch_metrics(handed: Handed, scalars: dict[str, float]) -> BatchMetrics:
    """The critical record of a batch; values that are not numbers are left out and logged."""
    keys = handed.keys
    numbers = _numbers(scalars)
    frame = None if handed.fseq is None else FrameRef(stream=keys.phase, fseq=handed.fseq)
    return BatchMetrics(
        phase=keys.phase,
        epoch=keys.epoch,
        batch_idx=keys.batch_idx,
        global_step=keys.global_step,
        phase_step=keys.phase_step,
        rank=keys.rank,
        batch_size=keys.batch_size,
        captured_at_ns=handed.captured_at_ns,
        frame=frame,
        **{name: numbers.pop(name) for name in _FIELDS if name in numbers},  # type: ignore[arg-type]
        scalars=numbers,
    )


def batch_frame(handed: Handed, arrays: FrameArrays) -> BatchFrame:
    """The frame of a batch."""
    keys = handed.keys
    if handed.fseq is None:
        raise ValueError("this batch offered no frame")
    return BatchFrame(
        phase=keys.phase,
        epoch=keys.epoch,
        batch_idx=keys.batch_idx,
        global_step=keys.global_step,
        phase_step=keys.phase_step,
        rank=keys.rank,
        stream=keys.phase,
        fseq=handed.fseq,
        captured_at_ns=handed.captured_at_ns,
        samples=arrays.samples,
        input=arrays.input,
        reconstruction=arrays.reconstruction,
        attention=arrays.attention,
        activation=arrays.activation,
    )


def drop_notices(drops: Iterable[Drop], captured_at_ns: int) -> list[DropNotice]:
    """Notices for `drops`; neighbors of one stream and reason share one."""
    runs: list[list[Drop]] = []
    for drop in drops:
        if runs and _follows(runs[-1][-1], drop):
            runs[-1].append(drop)
        else:
            runs.append([drop])
    return [
        DropNotice(
            stream=run[0].stream,
            first_fseq=run[0].fseq,
            last_fseq=run[-1].fseq,
            reason=run[0].reason,
            captured_at_ns=captured_at_ns,
        )
        for run in runs
    ]


def notices_of(
    drops: Mapping[tuple[Stream, DropReason], RangeSet], captured_at_ns: int
) -> list[DropNotice]:
    """Notices for the frames `drops`, by stream and reason."""
    return [
        DropNotice(
            stream=stream,
            first_fseq=first,
            last_fseq=last,
            reason=reason,
            captured_at_ns=captured_at_ns,
        )
        for (stream, reason), numbers in drops.items()
        for first, last in numbers.ranges
    ]


def _follows(last: Drop, drop: Drop) -> bool:
    return (drop.stream, drop.reason, drop.fseq) == (last.stream, last.reason, last.fseq + 1)


def _numbers(scalars: dict[str, float]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, value in scalars.items():
        try:
            numbers[readable(str(name), _MOST_NAME)] = float(value)
        except (TypeError, ValueError):
            log.warning("scalar %r is not a number (%r); it is left out", name, type(value))
    return numbers
