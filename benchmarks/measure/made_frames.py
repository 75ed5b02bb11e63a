"""Tiles and maps to time analyses on."""

import cv2
import numpy as np
import scipy.ndimage
import skimage

from shared.messages import BatchFrame, Sample


def tile_pair(size: int) -> tuple[np.ndarray, np.ndarray]:
    """A tile of the immunohistochemistry image and a blurred copy."""
    tile = np.ascontiguousarray(skimage.data.immunohistochemistry()[100:, 100:][:size, :size])
    return tile, cv2.GaussianBlur(tile, (0, 0), 1.2)


def gates(count: int, size: int = 32) -> np.ndarray:
    rng = np.random.default_rng(count)
    smooth = [
        scipy.ndimage.gaussian_filter(rng.normal(size=(size, size)), 3 * size / 32)
        for _ in range(count)
    ]
    return 1 / (1 + np.exp(-5 * np.stack(smooth)))


def make_frame(count: int, *, size: int = 128, step: int = 1, kan: bool = True) -> BatchFrame:
    """`count` equal tiles with two gates and, if asked for, two KAN maps."""
    x, y = (np.stack([image] * count) for image in tile_pair(size))
    fine = gates(count).astype(np.float32)
    coarse = np.ascontiguousarray(fine[:, ::2, ::2])
    return BatchFrame(
        phase="train",
        epoch=0,
        batch_idx=0,
        global_step=step,
        phase_step=step,
        stream="train",
        fseq=1,
        captured_at_ns=0,
        samples=tuple(Sample(id=str(i)) for i in range(count)),
        input=x,
        reconstruction=y,
        attention={"bam_384": fine, "bam_16": coarse},
        activation={"encoder_kan": coarse, "decoder_kan": fine} if kan else {},
    )
