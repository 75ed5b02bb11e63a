"""A released batch as one flat row: its scalars, its frame's part, the guide's short names."""

from collections.abc import Mapping
from typing import Any, Final

from analyzer_service.analyses import pathology_names
from analyzer_service.analyses.pathology_names import layer_key, layer_names
from analyzer_service.own.numbers import PREFIX as OWN
from shared.messages import BatchMetrics, RunStarted

CORE: Final = (
    "epoch",
    "batch_idx",
    "global_step",
    "phase_step",
    "rank",
    "timestamp",
    "batch_size",
    "loss",
    "mse",
    "ssim",
    "psnr",
    "training_time_ms",
    "inference_time_ms",
    "data_time_ms",
    "memory_mb",
    "samples",
)
_MEASURED: Final = (
    "loss",
    "training_time_ms",
    "inference_time_ms",
    "data_time_ms",
    "memory_mb",
)
_OF_FRAME: Final = frozenset(
    (
        *("ssim", "psnr", "num_attention_peaks", "peak_coverage"),
        *("spatial_consistency", "temporal_consistency"),
    )
)
_OF_FRAME_STARTS: Final = ("attention_", "activation_", OWN, *pathology_names.STARTS)
_TAKEN: Final = _OF_FRAME | {*CORE, "phase", "release", "ranks"}
_TAKEN_STARTS: Final = ("user_", *_OF_FRAME_STARTS)
_COUNTS: Final = frozenset(("undefined", "flat", "low_contrast"))
_NAN: Final = float("nan")


def build_row(
    batch: BatchMetrics, frame_part: Mapping[str, float] | None, started: RunStarted
) -> dict[str, float]:
    """Numbers of the row of `batch`, in the order of docs/architecture.md (`phase` is apart).

    Parameters
    ----------
    batch : BatchMetrics
        Its own `mse` wins over the frame's.
    frame_part : mapping or None
        Image and attention metrics of its analyzed frame; None when it was dropped.
    started : RunStarted
        Names the layers, for the primary layer's short names.

    Returns
    -------
    dict
        Undefined values are NaN. A user's scalar whose name is taken, or begins like the names
        of an analysis, gets the prefix ``user_`` whether or not this row has a frame.
    """
    part = dict(frame_part or {})
    row: dict[str, float] = dict.fromkeys(CORE, _NAN)
    row |= _keys_of(batch)
    row |= {name: _number(getattr(batch, name)) for name in _MEASURED}
    own_mse, frame_mse = batch.mse, part.pop("mse", None)
    row["mse"] = _number(frame_mse if own_mse is None else own_mse)
    row["samples"] = 0
    row |= part
    row |= short_names(part, started)
    for name, value in batch.scalars.items():
        row[_free_name(name, row)] = value
    return row


def short_names(part: Mapping[str, float], started: RunStarted) -> dict[str, float]:
    """Metrics of the primary layer without their layer, as the guide writes them."""
    gates = [layer.name for layer in started.layers if layer.kind == "attention"]
    primary = started.primary_layer or (gates[0] if gates else None)
    if primary is None:
        return {}
    start = f"attention_{primary}_"
    pathology = ((name, layer_key(name, primary)) for name in layer_names())
    # Names of other layers may begin with the primary one's ("bam" and "bam_16").
    others = tuple(f"attention_{name}_" for name in gates if name.startswith(f"{primary}_"))
    short = {
        key[len(start) :]: value
        for key, value in part.items()
        if key.startswith(start) and not key.startswith(others) and key[len(start) :] not in _COUNTS
    }
    return short | {name: part[key] for name, key in pathology if key in part}


def is_of_frame(name: str) -> bool:
    """Tell whether a row's number was measured on the tiles of its frame.

    Examples
    --------
    >>> [is_of_frame(name) for name in ("loss", "ssim", "attention_entropy", "learning_rate")]
    [False, True, True, False]
    """
    return name in _OF_FRAME or name.startswith(_OF_FRAME_STARTS)


def _keys_of(batch: BatchMetrics) -> dict[str, float]:
    return {
        "epoch": batch.epoch,
        "batch_idx": batch.batch_idx,
        "global_step": batch.global_step,
        "phase_step": batch.phase_step,
        "rank": batch.rank,
        "timestamp": batch.captured_at_ns / 1e9,
        "batch_size": _number(batch.batch_size),
    }


def _free_name(name: str, row: Mapping[str, Any]) -> str:
    taken = name in _TAKEN or name.startswith(_TAKEN_STARTS) or name in row
    return f"user_{name}" if taken else name


def _number(value: float | None) -> float:
    return _NAN if value is None else value
