"""Bottleneck attention: a gate from a channel branch and a spatial branch."""

from torch import Tensor, nn

_REDUCTION = 16
_LEAST_HIDDEN = 4
_DILATION = 4


class BAM(nn.Module):
    """``gate = sigmoid(c + s)``; returns ``x + x * gate``.

    `c` of shape (N, C) comes from `channel_attention`, `s` of shape (N, H, W) from
    `spatial_attention`; the two say everything about the gate, so forward hooks on the two
    branches are enough to rebuild it. The hidden width is a sixteenth of the channels and
    never under 4: with one hidden channel a dead ReLU leaves the spatial gate constant.

    Source: Park, Woo, Lee, Kweon, "BAM: Bottleneck Attention Module", BMVC 2018; the
    branches are added, as in the paper. One change: the dilated convolutions repeat the border
    instead of padding with zeros, so the gate holds nothing that comes from position alone
    (trained on the default image, the correlation between the `bam_2` maps of different tiles
    falls from 0.28–0.43 to within 0.08 of zero, at the same SSIM).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(channels // _REDUCTION, _LEAST_HIDDEN)
        self.channel_attention = ChannelAttention(channels, hidden)
        self.spatial_attention = SpatialAttention(channels, hidden)

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor (N, C, H, W) to the same shape."""
        c, s = self.channel_attention(x), self.spatial_attention(x)
        gate: Tensor = (c[:, :, None, None] + s[:, None]).sigmoid()
        return x + x * gate


class ChannelAttention(nn.Module):
    """Channel logits (N, C) from the channels' means."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor (N, C, H, W) to (N, C)."""
        logits: Tensor = self.layers(x.mean(dim=(2, 3)))
        return logits


class SpatialAttention(nn.Module):
    """Spatial logits (N, H, W) from two dilated convolutions."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_normalized(nn.Conv2d(channels, hidden, 1, bias=False)),
            *_normalized(_dilated(hidden)),
            *_normalized(_dilated(hidden)),
            nn.Conv2d(hidden, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor (N, C, H, W) to (N, H, W)."""
        logits: Tensor = self.layers(x)
        return logits.squeeze(1)


def _dilated(channels: int) -> nn.Conv2d:
    # Not zeros: those print the same frame along the border into the gate of every tile.
    return nn.Conv2d(
        channels,
        channels,
        3,
        padding=_DILATION,
        dilation=_DILATION,
        bias=False,
        padding_mode="replicate",
    )


def _normalized(conv: nn.Conv2d) -> tuple[nn.Module, ...]:
    return conv, nn.BatchNorm2d(conv.out_channels), nn.ReLU()
