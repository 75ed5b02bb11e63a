"""Whether a map can be measured at all, decided before any metric is."""

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analyzer_service.analyses.arrays import Floats, as_map
from analyzer_service.analyses.values import value_metrics

Status: TypeAlias = Literal["nonfinite", "tiny", "flat", "ok"]

STATUSES: Final[tuple[Status, ...]] = ("nonfinite", "tiny", "flat", "ok")
NONFINITE, TINY, FLAT, OK = range(4)

FLAT_RANGE: Final = 1e-6
SMALLEST_SIDE: Final = 2
LOW_CONTRAST_STD: Final = 0.01


@dataclass(frozen=True)
class MapStatus:
    """What kind of map it is, and whether its contrast is too weak to read much into it.

    `status` is the first that applies of ``nonfinite`` (a NaN or an infinity), ``tiny`` (a side
    under 2 cells), ``flat`` (a range of at most 1e-6 of its largest magnitude) and ``ok``.
    `low_contrast` says that the standard deviation is under 0.01. It is meant for sigmoid gates;
    a flat gate has it too, a map without any value never.
    """

    status: Status
    low_contrast: bool


def map_status(gate: ArrayLike) -> MapStatus:
    """Status of one map of shape (H, W).

    Raises
    ------
    ArrayError
        If `gate` is not a real-valued 2-D array.

    Examples
    --------
    >>> map_status([[0.5, 0.5], [0.5, 0.5]])
    MapStatus(status='flat', low_contrast=True)
    """
    maps = as_map(gate)[None]
    code = int(status_codes(maps)[0])
    weak = code in (FLAT, OK) and bool(is_low_contrast(value_metrics(maps)["attention_std"])[0])
    return MapStatus(STATUSES[code], weak)


def status_codes(maps: Floats) -> NDArray[np.intp]:
    """Index into `STATUSES` of each map of a stack (N, H, W); shape (N,)."""
    height, width = maps.shape[1:]
    if min(height, width) < SMALLEST_SIDE:
        finite = np.isfinite(maps).all(axis=(1, 2))
        return np.where(finite, TINY, NONFINITE)
    high, low = maps.max(axis=(1, 2)), maps.min(axis=(1, 2))  # NaN if any cell is
    with np.errstate(over="ignore", invalid="ignore"):
        flat = high - low <= FLAT_RANGE * np.maximum(np.abs(high), np.abs(low))
    codes = np.where(flat, FLAT, OK)
    return np.where(np.isfinite(high) & np.isfinite(low), codes, NONFINITE)


def is_low_contrast(std: Floats) -> NDArray[np.bool_]:
    """Tell which standard deviations of a gate are too small to read a pattern into it."""
    return std < LOW_CONTRAST_STD
