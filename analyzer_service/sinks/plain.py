"""Values as strict JSON takes them: null for what is undefined, whole numbers as such."""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from analyzer_service.sinks.moments import Column, Moments

KEYS: Final = (
    "phase",
    "epoch",
    "batch_idx",
    "global_step",
    "phase_step",
    "rank",
    "ranks",
    "timestamp",
    "batch_size",
    "samples",
)
"""What says which batch a row is; the rest of a row are its metrics."""

_FIRST: Final = (
    *KEYS[:-2],
    "loss",
    "mse",
    "ssim",
    "psnr",
    "training_time_ms",
    "inference_time_ms",
    "data_time_ms",
    "memory_mb",
    "batch_size",
    "samples",
)
_RANK: Final = {name: i for i, name in enumerate(_FIRST)}


def in_order(names: Mapping[str, Any]) -> list[str]:
    """Names of a row's values: the batch's keys and scalars first, then the rest sorted."""
    return sorted(names, key=lambda name: (_RANK.get(name, len(_RANK)), name))


def metrics_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics of a row: every number that does not say which batch it is."""
    return {
        name: value
        for name, value in row.items()
        if name not in KEYS and (value is None or isinstance(value, int | float))
    }


def plain_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as JSON takes it, in a fixed order of keys."""
    return {name: plain(row[name]) for name in in_order(row)}


def plain(value: Any) -> Any:
    """`value` with every NaN and infinity in it replaced by None.

    Examples
    --------
    >>> plain({"a": [1.5, float("nan")]})
    {'a': [1.5, None]}
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def as_json(value: Any, *, indent: int | None = None) -> str:
    """`value` as strict JSON on one line, or indented."""
    return json.dumps(plain(value), allow_nan=False, ensure_ascii=False, indent=indent)


def statistics(moments: Moments) -> dict[str, Any]:
    """Statistics of a metric over batches. `std` is the sample SD (n - 1)."""
    return {
        "mean": moments.mean,
        "std": moments.sd,
        "min": moments.low,
        "max": moments.high,
        "n": moments.n,
        "undefined": moments.undefined,
    }


def tile_statistics(column: Column) -> dict[str, Any]:
    """Statistics of a metric over tiles; `sd` is the sample SD, `iqr` the quartiles' distance."""
    lower, median, upper = column.kept.quantiles(0.25, 0.5, 0.75) if column.kept else [math.nan] * 3
    return {
        "n": column.moments.n,
        "mean": column.moments.mean,
        "median": median,
        "sd": column.moments.sd,
        "iqr": upper - lower,
        "undefined": column.moments.undefined,
    }


def utc(at_ns: int | None) -> str | None:
    """A time of a message in ISO 8601, UTC, to the millisecond.

    Examples
    --------
    >>> utc(1_700_000_000_123_456_789)
    '2023-11-14T22:13:20.123Z'
    """
    if at_ns is None:
        return None
    seconds, rest = divmod(at_ns, 10**9)
    moment = datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None)
    return f"{moment.isoformat()}.{rest // 10**6:03d}Z"
