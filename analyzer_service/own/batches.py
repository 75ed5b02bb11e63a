"""A batch of arrays as the messages that a trainer would send of it."""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.own.arrays import as_array, as_images, as_maps
from shared.messages import (
    BatchFrame,
    BatchMetrics,
    Layer,
    LayerKind,
    Phase,
    RunStarted,
    Sample,
    Stain,
)

_MEASURED: Final = ("mse", "training_time_ms", "inference_time_ms", "data_time_ms", "memory_mb")


@dataclass(frozen=True, slots=True)
class Numbered:
    """Which batch it is."""

    phase: Phase
    epoch: int
    batch_idx: int
    global_step: int
    phase_step: int


def make_frame(
    numbered: Numbered,
    images: tuple[Any, Any],
    *,
    attention: Mapping[str, Any],
    activation: Mapping[str, Any] | None = None,
    mpp: float | None = None,
) -> BatchFrame:
    """Frame of the clean images and what became of them, with their maps.

    Raises
    ------
    ArrayError
        If they are no images or maps, or do not belong together.
    """
    clean, output = map(as_images, images)
    fields: dict[str, Any] = {
        "attention": {name: as_maps(maps) for name, maps in attention.items()},
        "activation": {name: as_maps(maps) for name, maps in (activation or {}).items()},
    }
    start = f"{numbered.phase}/{numbered.batch_idx}"
    samples = tuple(Sample(id=f"{start}/{i}", mpp=mpp) for i in range(len(clean)))
    keys = asdict(numbered) | {"stream": numbered.phase, "fseq": numbered.phase_step}
    fields |= {"samples": samples, "input": clean, "reconstruction": output}
    try:
        return BatchFrame(captured_at_ns=time.time_ns(), **keys, **fields)
    except ValueError as error:
        raise ArrayError(f"the batch does not fit together: {error}") from error


def make_batch(frame: BatchFrame, loss: Any, scalars: Mapping[str, Any]) -> BatchMetrics:
    """Scalars of the batch that `frame` is of; numbers, or arrays and tensors of one."""
    numbers = {name: _as_number(value) for name, value in scalars.items()}
    fields: dict[str, Any] = {name: numbers.pop(name) for name in _MEASURED if name in numbers}
    keys = ("phase", "epoch", "batch_idx", "global_step", "phase_step", "captured_at_ns")
    fields |= {name: getattr(frame, name) for name in keys}
    fields["loss"] = None if loss is None else _as_number(loss)
    return BatchMetrics(**fields, batch_size=len(frame.samples), scalars=numbers)


def describe(frame: BatchFrame, *, stain: Stain, mpp: float | None) -> RunStarted:
    """A run of nothing but `frame`."""
    kinds: tuple[tuple[LayerKind, Mapping[str, Any]], ...] = (
        ("attention", frame.attention),
        ("activation", frame.activation),
    )
    return RunStarted(
        run_id="notebook",
        run_name="notebook",
        producer="notebook",
        started_at_ns=0,
        layers=tuple(Layer(name=name, kind=kind) for kind, maps in kinds for name in maps),
        primary_layer=next(iter(frame.attention), None),
        tile_size=frame.input.shape[1] or None,
        stain=stain,
        mpp=mpp,
    )


def _as_number(value: Any) -> float:
    array = as_array(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise ArrayError(f"expected one real number, got {array.dtype} of shape {array.shape}")
    return float(array.item())
