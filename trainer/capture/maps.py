"""Maps from a layer's tensors, with NumPy on the sender thread (METRICS.md, section 1)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.capture.values import MapForm

Float32 = NDArray[np.float32]


def reduce_map(form: MapForm, arrays: Sequence[NDArray[Any]]) -> Float32:
    """Map of each sample, float32 of shape (N, h, w), in memory of its own.

    Parameters
    ----------
    form : {"bam", "gate", "activation"}
        What `arrays` are; see `trainer.capture.values.MapTensors`.
    arrays : sequence of ndarray
        Channel branch (N, C) and spatial branch (N, H, W) for ``bam``, else one array of
        shape (N, H, W) or (N, C, H, W).

    Raises
    ------
    ValueError
        If a shape is another one.

    Examples
    --------
    >>> reduce_map("bam", [np.zeros((1, 2), np.float32), np.zeros((1, 3, 3), np.float32)]).max()
    np.float32(0.5)
    """
    if form == "bam":
        channel, spatial = arrays
        return bam_gate(_per_channel(channel), _per_position(spatial))
    (array,) = arrays
    values = np.array(array, dtype=np.float32)
    if form == "activation":
        np.abs(values, out=values)
    return _over_channels(values)


def bam_gate(channel: Float32, spatial: Float32) -> Float32:
    """Mean over channels of BAM's gate, ``mean_k sigmoid(c_k + s_ij)``.

    Parameters
    ----------
    channel : ndarray of shape (N, C)
        Output of the channel branch, c.
    spatial : ndarray of shape (N, H, W)
        Output of the spatial branch, s.

    Returns
    -------
    ndarray of shape (N, H, W), float32
        In (0, 1).
    """
    maps = np.empty(spatial.shape, dtype=np.float32)
    for n in range(len(spatial)):  # a sample at a time: C x H x W floats are large enough
        gate = channel[n, :, None, None] + spatial[n]
        np.negative(gate, out=gate)
        with np.errstate(over="ignore"):  # exp(-x) = inf gives a gate of 0, as it should
            np.exp(gate, out=gate)
        gate += 1
        np.reciprocal(gate, out=gate)
        gate.mean(axis=0, out=maps[n])
    return maps


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """View of a CPU tensor's memory; bfloat16, which NumPy lacks, is widened to float32.

    No PyTorch operation runs: on another thread it would start threads of its own.
    """
    if tensor.dtype != torch.bfloat16:
        array: NDArray[Any] = tensor.numpy()
        return array
    bits = tensor.view(torch.int16).numpy().view(np.uint16)
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def _per_channel(channel: NDArray[Any]) -> Float32:
    flat = np.array(channel, dtype=np.float32).reshape(len(channel), -1)
    if channel.ndim < 2 or channel.shape[1] != flat.shape[1]:
        raise ValueError(f"channel branch must be (N, C), got {channel.shape}")
    return flat


def _per_position(spatial: NDArray[Any]) -> Float32:
    if spatial.ndim == 4 and spatial.shape[1] == 1:
        spatial = spatial[:, 0]
    if spatial.ndim != 3:
        raise ValueError(f"spatial branch must be (N, H, W), got {spatial.shape}")
    return np.array(spatial, dtype=np.float32)


def _over_channels(values: Float32) -> Float32:
    if values.ndim == 3:
        return values
    if values.ndim != 4:
        raise ValueError(f"a map must be (N, H, W) or (N, C, H, W), got {values.shape}")
    return np.ascontiguousarray(values.mean(axis=1, dtype=np.float32))
