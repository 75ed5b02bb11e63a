"""MedMNIST-style archives: ``train_images`` and ``val_images`` of one size."""

import logging
import shutil
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from shared.errors import ConfigurationError
from trainer.data.source import ArraySource, Collection

log = logging.getLogger(__name__)

_LARGEST_IN_MEMORY: Final = 512 << 20


def open_npz(path: Path, *, mpp: float | None = None) -> Collection:
    """Images of an archive; ``val_images``, when there are any, are held out.

    Arrays are uint8 of shape (N, H, W, 3), or (N, H, W) for gray images. An array beyond
    512 MiB is unpacked into a temporary file and mapped, not loaded.

    Raises
    ------
    ConfigurationError
        If the archive cannot be read or holds no such arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = {name.removesuffix(".npy") for name in archive.namelist()}
            if "train_images" not in names:
                raise ConfigurationError(
                    f"{path} holds no train_images, it has: {', '.join(sorted(names)) or 'nothing'}"
                )
            train = _read(archive, "train_images", path)
            val = _read(archive, "val_images", path) if "val_images" in names else train[:0]
    except (zipfile.BadZipFile, OSError, ValueError, EOFError) as error:
        raise ConfigurationError(f"{path} cannot be read as an .npz archive: {error}") from None
    if train.shape[1:3] != val.shape[1:3]:
        raise ConfigurationError(f"{path}: train_images {train.shape} and val_images {val.shape}")
    sources = (*_sources("train_images", train, mpp), *_sources("val_images", val, mpp))
    held_out = frozenset(range(len(train), len(sources))) if len(val) else None
    return Collection(sources, held_out=held_out, in_memory=True)


def _sources(key: str, stack: NDArray[np.uint8], mpp: float | None) -> list[ArraySource]:
    return [ArraySource(f"{key}/{i}", stack, i, mpp=mpp) for i in range(len(stack))]


def _read(archive: zipfile.ZipFile, key: str, path: Path) -> NDArray[np.uint8]:
    member = f"{key}.npy"
    if archive.getinfo(member).file_size > _LARGEST_IN_MEMORY:
        images = _map(archive, member)
    else:
        with archive.open(member) as file:
            images = np.lib.format.read_array(file, allow_pickle=False)
    if images.ndim == 4 and images.shape[-1] == 1:
        images = images[..., 0]
    if images.dtype != np.uint8 or not (images.ndim == 3 or images.shape[3:] == (3,)):
        raise ConfigurationError(
            f"{path}: {key} is {images.dtype} {images.shape}, expected uint8 (N, H, W, 3) "
            "or (N, H, W)"
        )
    return images


def _map(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    log.info("unpacking %s to a temporary file", member)
    with tempfile.NamedTemporaryFile(prefix="sidelight_", suffix=".npy") as unpacked:
        with archive.open(member) as packed:
            shutil.copyfileobj(packed, unpacked)
        unpacked.flush()
        # The mapping keeps the data alive after the name is gone.
        mapped: NDArray[Any] = np.load(unpacked.name, mmap_mode="r", allow_pickle=False)
        return mapped
