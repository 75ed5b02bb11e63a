"""Curves in the making: scales, ticks, smoothing; arrays in, arrays out."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Series = NDArray[np.float64]

_LOG_FROM = 20.0
_LIMIT = 1e100


@dataclass(frozen=True)
class Scale:
    """An axis from `low` to `high`; places run from 0 to 1 along it."""

    low: float
    high: float
    ticks: tuple[float, ...]
    logarithmic: bool = False

    def place(self, values: Series) -> Series:
        """Places of `values`; NaN where a value has none."""
        if not self.logarithmic:
            return np.asarray((values - self.low) / (self.high - self.low))
        powers = np.log10(np.where(values > 0, values, np.nan))
        low, high = math.log10(self.low), math.log10(self.high)
        return np.asarray((powers - low) / (high - low))


def finite(values: Series) -> Series:
    """`values` with everything that cannot be drawn (infinite, beyond 1e100) made NaN."""
    drawable = np.isfinite(values) & (np.abs(np.nan_to_num(values)) <= _LIMIT)
    return np.where(drawable, values, np.nan)


def free_scale(values: Series, *, ticks: int = 3) -> Scale:
    """A scale around `values`: logarithmic when positive values span a factor of 20 or more."""
    known = values[np.isfinite(values)]
    if known.size == 0:
        return Scale(0.0, 1.0, ())
    low, high = float(known.min()), float(known.max())
    if low > 0 and high >= _LOG_FROM * low:
        return _log_scale(low, high, ticks)
    low = min(low, 0.0)
    high = max(high, low + 1e-12) if high > low else low + 1.0
    return Scale(low, high + 0.06 * (high - low), _linear_ticks(low, high, ticks))


def fixed_scale(low: float, high: float, values: Series) -> Scale:
    """A scale from `low` to `high`, extended where `values` go beyond."""
    known = values[np.isfinite(values)]
    if known.size:
        low, high = min(low, float(known.min())), max(high, float(known.max()))
    return Scale(low, high, ())


def step_scale(steps: Series) -> Scale:
    """A scale from 0 to the last step."""
    last = float(np.nanmax(steps, initial=1.0))
    return Scale(0.0, last, _linear_ticks(0.0, last, 5, whole=True))


def smoothed(values: Series) -> Series:
    """Gaussian average, about a 50th of the points wide; NaN is passed over, not filled."""
    deviation = max(1.0, values.size / 50)
    reach = min(math.ceil(3 * deviation), (values.size - 1) // 2)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    known = np.isfinite(values)
    total = np.convolve(np.where(known, values, 0.0), kernel, mode="same")
    weight = np.convolve(known.astype(np.float64), kernel, mode="same")
    return np.where(known, total / np.where(known, weight, 1.0), np.nan)


def mean_by_step(steps: Series, values: Series) -> tuple[Series, Series]:
    """Mean of the known `values` of each distinct step, steps ascending."""
    known = np.isfinite(values) & np.isfinite(steps)
    unique, where = np.unique(steps[known], return_inverse=True)
    sums = np.bincount(where, weights=values[known], minlength=unique.size)
    return unique, sums / np.maximum(np.bincount(where, minlength=unique.size), 1)


def _linear_ticks(low: float, high: float, count: int, *, whole: bool = False) -> tuple[float, ...]:
    """Multiples of the smallest round step of which `count` span the scale."""
    least = max((high - low) / count, 1.0 if whole else 0.0)
    power = 10.0 ** math.floor(math.log10(least))
    steps = (base * power for base in (1.0, 2.0, 2.5, 5.0, 10.0))
    step = next(step for step in steps if step >= least and not (whole and step % 1.0))
    return tuple(tick * step for tick in range(math.ceil(low / step), math.floor(high / step) + 1))


def _log_scale(low: float, high: float, count: int) -> Scale:
    margin = 10.0 ** (0.04 * (math.log10(high) - math.log10(low)))
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    bases = (1.0,) if len(exponents) > count else (1.0, 3.0)
    ticks = [base * 10.0**power for power in exponents for base in bases]
    inside = [tick for tick in ticks if low / margin <= tick <= high * margin]
    step = -(-len(inside) // (count + 1)) or 1
    return Scale(low / margin, high * margin, tuple(inside[::step]), logarithmic=True)
