"""A convolution whose weights are functions: KAN layers on images, without unfolding them."""

import math
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

ORDER: Final = 3


class KANConv2d(nn.Module):
    """Convolution with a learned function of one variable at each weight's place.

    The unfolding definition takes each ``k x k`` patch of the zero-padded image and adds up
    ``phi[o, c, i, j](x[c, i, j])``, where each ``phi`` is a SiLU term plus a cubic B-spline.
    All functions share their bases, so the sum is one ordinary convolution over the
    expanded image: pad first (the bases are not zero at zero), expand each channel into its
    basis values, convolve once. Nothing is held ``k * k`` times.

    Parameters
    ----------
    in_channels, out_channels : int
        Channels before and after.
    kernel_size, stride, padding : int
        As in ``torch.nn.Conv2d``; the padding is zeros.
    grid_size : int
        Spline intervals between the ends of `grid_range`; ``grid_size + 3`` bases.
    grid_range : tuple of float
        Where the splines are complete. They fall to zero within three intervals outside;
        only the SiLU term is left there.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        padding: int = 1,
        grid_size: int = 5,
        grid_range: tuple[float, float] = (-2.0, 2.0),
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.stride, self.padding = stride, padding
        self.grid_size, self.grid_range = grid_size, grid_range
        bases = grid_size + ORDER
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        self.base_weight = nn.Parameter(torch.empty(shape))
        self.spline_weight = nn.Parameter(torch.empty(out_channels, in_channels, bases, *shape[2:]))
        nn.init.kaiming_uniform_(self.base_weight, a=math.sqrt(5))
        nn.init.normal_(self.spline_weight, std=0.1 / math.sqrt(in_channels * kernel_size**2))

    @torch.no_grad()
    def start_as_identity(self) -> None:
        """Make each channel pass through unchanged where the splines are complete.

        The random weights stay, at a tenth, so that every function can be learned. The
        splines' coefficients are the least-squares fit to what SiLU lacks of the identity.
        """
        self.base_weight.mul_(0.1)
        middle = self.base_weight.shape[-1] // 2
        points = torch.linspace(*self.grid_range, 20 * self.grid_size)
        basis = expand(points.view(1, 1, 1, -1), self.grid_size, self.grid_range)[0, :, 0]
        missing = torch.linalg.lstsq(basis[1:].T, (points - basis[0]).unsqueeze(1)).solution[:, 0]
        for channel in range(min(self.in_channels, self.out_channels)):
            self.base_weight[channel, channel, middle, middle] += 1.0
            self.spline_weight[channel, channel, :, middle, middle] += missing

    def forward(self, x: Tensor) -> Tensor:
        """Float tensor (N, C, H, W) to (N, out_channels, H', W')."""
        pad = self.padding
        padded = functional.pad(x, (pad, pad, pad, pad))
        expanded = expand(padded, self.grid_size, self.grid_range)
        weight = torch.cat((self.base_weight.unsqueeze(2), self.spline_weight), dim=2)
        return functional.conv2d(expanded, weight.flatten(1, 2), stride=self.stride)

    def extra_repr(self) -> str:
        """Channels and spline grid, for ``print(model)``."""
        return (
            f"{self.in_channels}, {self.out_channels}, stride={self.stride}, "
            f"padding={self.padding}, grid_size={self.grid_size}, grid_range={self.grid_range}"
        )


def expand(x: Tensor, grid_size: int, grid_range: tuple[float, float]) -> Tensor:
    """SiLU and all cubic B-spline bases of `x`, channel by channel.

    Parameters
    ----------
    x : Tensor of shape (N, C, H, W), float
        Values at which the bases are taken.
    grid_size, grid_range
        Uniform knots: `grid_size` intervals between the ends of `grid_range`, continued by
        three intervals on both sides.

    Returns
    -------
    Tensor of shape (N, C * (1 + grid_size + 3), H, W), float32
        For each channel its SiLU, then its bases from left to right.
    """
    low, high = grid_range
    step = (high - low) / grid_size
    centers = tuple(low + (i - 1) * step for i in range(grid_size + ORDER))
    expanded: Tensor = _Expansion.apply(x, centers, step)  # type: ignore[no-untyped-call]
    return expanded.flatten(1, 2)


class _Expansion(torch.autograd.Function):
    """Keeps only `x` for the backward pass, and recomputes the bases' slopes there."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, centers: tuple[float, ...], step: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.centers, ctx.step = centers, step
        value = x.float()
        n, c, h, w = x.shape
        out = value.new_empty(n, c, 1 + len(centers), h, w)
        out[:, :, 0] = functional.silu(value)
        for i, center in enumerate(centers, start=1):
            out[:, :, i] = _cubic(value.sub(center).div_(step))
        return out

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator, unused-ignore]
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        value = x.float()
        sigmoid = value.sigmoid()
        total = grad[:, :, 0] * sigmoid * (1 + value * (1 - sigmoid))
        for i, center in enumerate(ctx.centers, start=1):
            slope = _cubic_slope(value.sub(center).div_(ctx.step)).div_(ctx.step)
            total.addcmul_(slope, grad[:, :, i])
        return total.to(x.dtype), None, None


def _cubic(v: Tensor) -> Tensor:
    """Cardinal cubic B-spline centered at 0, support (-2, 2), of knots one apart."""
    distance = v.abs_()
    inner = (1 - distance).clamp_(min=0).pow_(3)
    return (2 - distance).clamp_(min=0).pow_(3).sub_(inner, alpha=4).div_(6)


def _cubic_slope(v: Tensor) -> Tensor:
    distance = v.abs()
    inner = (1 - distance).clamp_(min=0).pow_(2)
    falling = (2 - distance).clamp_(min=0).pow_(2).sub_(inner, alpha=4).mul_(-0.5)
    return falling.mul_(v.sign())
