"""The KAN convolution by its definition: every patch unfolded, every basis by recursion."""

import torch
from torch import Tensor
from torch.nn import functional

from trainer.model.kan import ORDER, KANConv2d


def unfolded_forward(layer: KANConv2d, x: Tensor) -> Tensor:
    """Sum over each zero-padded patch of phi(x) = w * silu(x) + sum of c_i * B_i(x)."""
    kernel = layer.base_weight.shape[-1]
    patches = functional.unfold(x, kernel, padding=layer.padding, stride=layer.stride)
    bases = cox_de_boor(patches, layer.grid_size, layer.grid_range)
    base_weight = layer.base_weight.flatten(1)
    spline_weight = layer.spline_weight.permute(0, 1, 3, 4, 2).flatten(1, 3)
    out = torch.einsum("npl,op->nol", functional.silu(patches), base_weight)
    out = out + torch.einsum("nplb,opb->nol", bases, spline_weight)
    height = (x.shape[2] + 2 * layer.padding - kernel) // layer.stride + 1
    return out.unflatten(2, (height, -1))


def cox_de_boor(x: Tensor, grid_size: int, grid_range: tuple[float, float]) -> Tensor:
    """B-spline bases by the recursion of Cox and de Boor; one more axis, of the bases."""
    step = (grid_range[1] - grid_range[0]) / grid_size
    knots = torch.arange(-ORDER, grid_size + ORDER + 1, dtype=x.dtype) * step + grid_range[0]
    x = x.unsqueeze(-1)
    bases = ((x >= knots[:-1]) & (x < knots[1:])).to(x.dtype)
    for order in range(1, ORDER + 1):
        rising = (x - knots[: -order - 1]) / (knots[order:-1] - knots[: -order - 1])
        falling = (knots[order + 1 :] - x) / (knots[order + 1 :] - knots[1:-order])
        bases = rising * bases[..., :-1] + falling * bases[..., 1:]
    return bases
