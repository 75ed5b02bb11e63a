"""What alerts are called."""

from typing import Final

TITLES: Final = {
    "loss_stuck": "loss stuck",
    "loss_plateau": "loss plateau",
    "loss_rise": "loss rising",
    "ssim_not_improving": "SSIM not improving",
    "ssim_falling": "SSIM falling",
    "ssim_low": "SSIM low",
    "attention_concentrated": "attention too concentrated",
    "attention_diffuse": "attention too diffuse",
    "attention_constant": "attention constant",
    "attention_ignores_content": "attention ignores content",
    "attention_unstable": "attention unstable",
    "memory_spike": "memory spike",
    "memory_growth": "memory growing",
    "inference_slow": "inference slow",
    "inference_rising": "inference time rising",
    "step_time_rising": "step time rising",
    "data_wait": "waiting for data",
    "not_finite": "NaN or infinity",
    "overfitting": "overfitting",
    "stalled": "trainer stalled",
    "frames_dropped": "frames dropped",
}
"""Every alert by name, and in two or three words."""


def title(name: str, layer: str | None = None) -> str:
    """An alert in a few words.

    Examples
    --------
    >>> title("memory_growth"), title("not_finite", "bam_384")
    ('memory growing', 'NaN or infinity (bam_384)')
    """
    words = TITLES.get(name, name)
    return f"{words} ({layer})" if layer else words
