"""Efficient channel attention: each channel is weighed by its neighbors' means."""

import math

from torch import Tensor, nn


class ECA(nn.Module):
    """Multiplies each channel with a sigmoid of a 1-D convolution over channel means.

    The kernel's width grows with the logarithm of the channels and is odd.

    Source: Wang et al., "ECA-Net", CVPR 2020 (gamma 2, b 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        width = int(abs(math.log2(channels) + 1) / 2)
        width += 1 - width % 2
        self.conv = nn.Conv1d(1, 1, width, padding=width // 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor (N, C, H, W) to the same shape."""
        means = x.mean(dim=(2, 3)).unsqueeze(1)
        weights: Tensor = self.conv(means).sigmoid()
        return x * weights.transpose(1, 2).unsqueeze(-1)
