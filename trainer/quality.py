"""Image quality on tensors, for what the training log says about validation."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

_SIGMA: Final = 1.5
_RADIUS: Final = 5
_C1: Final = 0.01**2
_C2: Final = 0.03**2


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Structural similarity of images, windowed.

    Gaussian window of 11x11 pixels with sigma 1.5, data range 1, population covariance,
    each channel by itself, mean over the region where the window fits.

    Parameters
    ----------
    x, y : Tensor of shape (N, C, H, W), float, [0, 1]
        Images to compare.

    Returns
    -------
    Tensor of shape (N,), float32
        One value an image, in [-1, 1]; NaN when a side is under 11 pixels.

    References
    ----------
    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment", IEEE TIP 13(4), 2004.
    """
    if min(x.shape[-2:]) < 2 * _RADIUS + 1:
        return torch.full((x.shape[0],), math.nan, device=x.device)
    with torch.autocast(x.device.type, enabled=False):
        return _mean_index(x.float(), y.float())


def _mean_index(x: Tensor, y: Tensor) -> Tensor:
    mean_x, mean_y, xx, yy, xy = _blur(torch.cat((x, y, x * x, y * y, x * y), dim=1)).chunk(5, 1)
    covariance = xy - mean_x * mean_y
    variances = xx - mean_x**2 + yy - mean_y**2
    luminance = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    return (luminance * (2 * covariance + _C2) / (variances + _C2)).mean(dim=(1, 2, 3))


def _blur(x: Tensor) -> Tensor:
    """Gaussian mean of each channel, where the window fits."""
    offsets = torch.arange(-_RADIUS, _RADIUS + 1, device=x.device, dtype=x.dtype)
    window = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
    window = window / window.sum()
    n, c, h, w = x.shape
    rows = functional.conv2d(x.reshape(n * c, 1, h, w), window.view(1, 1, -1, 1))
    both = functional.conv2d(rows, window.view(1, 1, 1, -1))
    return both.reshape(n, c, *both.shape[-2:])
