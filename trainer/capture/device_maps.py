"""The arithmetic of `maps` and of 8-bit images with PyTorch, on the step's own device.

It queues few kernels and waits for none of them.
"""

import torch
from torch import Tensor

from trainer.capture.values import MapForm


def device_images(clean: Tensor, output: Tensor, *, first: int) -> Tensor:
    """The `first` images of both as 8-bit RGB; the same values as `trainer.publish.arrays` gives.

    Parameters
    ----------
    clean, output : Tensor of shape (N, C, H, W)
        C of 1 or 3; float in [0, 1] (clipped, NaN becomes 0), or uint8.

    Returns
    -------
    Tensor of shape (2, n, H, W, 3), uint8, contiguous

    Raises
    ------
    ValueError
        If a shape is another one, or the two differ.
    """
    pair = [_channels_last(images, first) for images in (clean, output)]
    if pair[0].shape[:3] != pair[1].shape[:3]:
        raise ValueError(f"images differ in shape: {tuple(clean.shape)}, {tuple(output.shape)}")
    if all(images.dtype != torch.uint8 for images in pair):  # both at once: half the kernels
        both = torch.stack([_rgb(images.float()) for images in pair])
        return _to_uint8(both.mul_(255)).contiguous()
    return torch.stack([_rgb(_as_uint8(images)) for images in pair]).contiguous()


def device_map(form: MapForm, tensors: tuple[Tensor, ...], *, first: int) -> Tensor:
    """Map of the `first` samples, float32 of shape (n, h, w), contiguous.

    See `trainer.capture.maps.reduce_map` for forms, shapes and errors.
    """
    parts = [tensor[:first].detach().float() for tensor in tensors]
    if form == "bam":
        channel, spatial = parts
        return _bam_gate(channel, spatial)
    (values,) = parts
    if form == "activation":
        values = values.abs()
    if values.ndim not in (3, 4):
        raise ValueError(f"a map must be (N, H, W) or (N, C, H, W), got {values.shape}")
    return (values if values.ndim == 3 else values.mean(dim=1)).contiguous()


def _channels_last(images: Tensor, first: int) -> Tensor:
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"images must be (N, C, H, W) with 1 or 3 channels, got {images.shape}")
    return images[:first].detach().permute(0, 2, 3, 1)


def _rgb(images: Tensor) -> Tensor:
    return images.expand(-1, -1, -1, 3)


def _as_uint8(images: Tensor) -> Tensor:
    return images if images.dtype == torch.uint8 else _to_uint8(images.float() * 255)


def _to_uint8(scaled: Tensor) -> Tensor:
    """Rounded and clipped to 0..255; `scaled` is written over."""
    return scaled.nan_to_num_(nan=0.0).round_().clamp_(0, 255).to(torch.uint8)


def _bam_gate(channel: Tensor, spatial: Tensor) -> Tensor:
    if spatial.ndim == 4 and spatial.shape[1] == 1:
        spatial = spatial[:, 0]
    if spatial.ndim != 3 or channel.ndim < 2:
        raise ValueError(
            f"BAM's branches must be (N, C), (N, H, W): {channel.shape}, {spatial.shape}"
        )
    logits = channel.reshape(len(channel), -1)[:, :, None, None] + spatial[:, None]
    return logits.sigmoid_().mean(dim=1).contiguous()
