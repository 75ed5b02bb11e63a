"""Good ranges of the metrics, in one place: the dashboard and the report both read them.

The seven ranges are the guide's. `CONTRAST_FLOOR` is not a range of the guide: below it the
attention metrics describe noise, so it stands beside them.
"""

import math
from dataclasses import dataclass
from typing import Literal

Verdict = Literal["in", "below", "above", "undefined"]


@dataclass(frozen=True)
class GoodRange:
    """Where a metric should lie.

    Attributes
    ----------
    key : str
        Name in a row, without a layer: the value of the primary layer.
    label : str
        Name for readers.
    low, high : float or None
        Limits in the metric's unit; None is no limit.
    unit : str
        Unit, empty when there is none.
    strict : bool
        Whether the limits themselves are outside.
    scale : tuple of float
        What an axis shows at least, so that two charts can be compared.
    """

    key: str
    label: str
    low: float | None
    high: float | None
    unit: str = ""
    strict: bool = False
    scale: tuple[float, float] = (0.0, 1.0)

    def judge(self, value: float | None) -> Verdict:
        """Where `value` lies; None and NaN are undefined.

        Examples
        --------
        >>> SSIM.judge(0.8), ENTROPY.judge(4.1), ENTROPY.judge(float("nan"))
        ('in', 'above', 'undefined')
        """
        if value is None or math.isnan(value):
            return "undefined"
        if self.low is not None and (value < self.low or (self.strict and value == self.low)):
            return "below"
        if self.high is not None and (value > self.high or (self.strict and value == self.high)):
            return "above"
        return "in"

    def text(self) -> str:
        """The range for readers.

        Examples
        --------
        >>> ENTROPY.text(), INFERENCE_TIME.text()
        ('2–4 nats', '< 200 ms')
        """
        unit = f" {self.unit}" if self.unit else ""
        if self.low is None:
            return f"{'<' if self.strict else '≤'} {self.high:g}{unit}"
        if self.high is None:
            return f"{'>' if self.strict else '≥'} {self.low:g}{unit}"
        return f"{self.low:g}–{self.high:g}{unit}"


SSIM = GoodRange("ssim", "SSIM", 0.8, None)
ENTROPY = GoodRange("attention_entropy", "Entropy", 2.0, 4.0, "nats", scale=(0.0, math.log(64)))
CONCENTRATION = GoodRange("attention_concentration_10", "Concentration", 0.2, 0.6)
SPARSITY = GoodRange("attention_sparsity", "Sparsity", 0.3, 0.7)
CENTER_DISTANCE = GoodRange("attention_center_distance", "Center distance", 0.2, 0.5)
PEAKS = GoodRange("num_attention_peaks", "Peaks", 1.0, 5.0, scale=(0.0, 10.0))
INFERENCE_TIME = GoodRange(
    "inference_time_ms", "Inference", None, 200.0, "ms", strict=True, scale=(0.0, 200.0)
)
CONTRAST_FLOOR = GoodRange("attention_contrast", "Contrast", 0.02, None, scale=(0.0, 0.1))

ATTENTION_RANGES = (ENTROPY, CONCENTRATION, SPARSITY, CENTER_DISTANCE, PEAKS)
GOOD_RANGES = (SSIM, *ATTENTION_RANGES, INFERENCE_TIME)


@dataclass(frozen=True)
class Ranges:
    """The ranges that a run is judged by: the guide's, or what its analyzer was given."""

    ssim: GoodRange = SSIM
    entropy: GoodRange = ENTROPY
    concentration: GoodRange = CONCENTRATION
    sparsity: GoodRange = SPARSITY
    center_distance: GoodRange = CENTER_DISTANCE
    peaks: GoodRange = PEAKS
    inference_time: GoodRange = INFERENCE_TIME
    contrast: GoodRange = CONTRAST_FLOOR

    @property
    def attention(self) -> tuple[GoodRange, ...]:
        """Those of attention metrics, the floor of the contrast last."""
        return (
            *(self.entropy, self.concentration, self.sparsity, self.center_distance),
            *(self.peaks, self.contrast),
        )

    @property
    def all(self) -> tuple[GoodRange, ...]:
        """All of them, in the order in which they are shown."""
        return (self.ssim, *self.attention[:-1], self.inference_time, self.contrast)


GUIDE = Ranges()
