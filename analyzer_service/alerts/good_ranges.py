"""The good ranges that settings ask for, as figures and reports judge by them."""

from dataclasses import replace

from analyzer_service.alerts.settings import RangeSettings
from analyzer_service.figures.ranges import GUIDE, GoodRange, Ranges


def good_ranges(settings: RangeSettings) -> Ranges:
    """The guide's ranges with the limits of `settings`.

    Examples
    --------
    >>> good_ranges(RangeSettings(ssim_min=0.9)).ssim.text()
    '≥ 0.9'
    >>> good_ranges(RangeSettings()) == GUIDE
    True
    """
    return Ranges(
        ssim=_with(GUIDE.ssim, settings.ssim_min, None),
        entropy=_with(GUIDE.entropy, *settings.entropy),
        concentration=_with(GUIDE.concentration, *settings.concentration),
        sparsity=_with(GUIDE.sparsity, *settings.sparsity),
        center_distance=_with(GUIDE.center_distance, *settings.center_distance),
        peaks=_with(GUIDE.peaks, *settings.peaks),
        inference_time=_with(GUIDE.inference_time, None, settings.inference_max_ms),
        contrast=_with(GUIDE.contrast, settings.contrast_min, None),
    )


def _with(good: GoodRange, low: float | None, high: float | None) -> GoodRange:
    """`good` with other limits, on a scale that shows them."""
    limits = [limit for limit in (low, high) if limit is not None]
    scale = (min(good.scale[0], *limits, good.scale[0]), max(good.scale[1], *limits))
    return replace(good, low=low, high=high, scale=scale)
