"""The `frames/` folder: images and maps of detailed steps, one .npz file a step."""

import json
import os
import struct
import zlib
from pathlib import Path
from tokenize import TokenError
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np

from shared.messages import BatchFrame

FOLDER: Final = "frames"
FULL_VALIDATION_BATCHES: Final = 5
_IMAGES: Final = ("input", "reconstruction")
_MAPS: Final = ("attention", "activation")
# What the system, zipfile, numpy, json and pydantic say of a file that is not whole.
_NOT_WHOLE: Final = (
    OSError,
    BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    TokenError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)


def is_detailed(phase: str, phase_step: int, batch_idx: int, *, analysis_freq: int) -> bool:
    """Tell whether a batch gets a dashboard and its frame is kept.

    Every `analysis_freq`-th training batch, and the first 5 validation batches of each epoch.
    """
    if phase == "val":
        return batch_idx < FULL_VALIDATION_BATCHES
    return phase_step > 0 and phase_step % analysis_freq == 0


def frame_file(frame: BatchFrame, *, incarnation: int) -> str:
    """Path of a frame's file inside the run's folder, with forward slashes.

    ``frames/train_000100.npz``; of a second start and rank 1 ``frames/train_000100_i2_r1.npz``.
    """
    start = f"_i{incarnation}" if incarnation > 1 else ""
    rank = f"_r{frame.rank}" if frame.rank else ""
    return f"{FOLDER}/{frame.phase}_{frame.phase_step:06d}{start}{rank}.npz"


def write_frame(folder: Path, frame: BatchFrame, *, incarnation: int = 1) -> tuple[str, int]:
    """Write `frame` into the run's folder; return its path in it and its size in bytes.

    The file has one array a name (``input``, ``reconstruction``, ``attention/{layer}``,
    ``activation/{layer}``) and ``keys``, the remaining fields as JSON in UTF-8 bytes.

    Raises
    ------
    OSError
        If it cannot be written; nothing is left behind then.
    """
    name = frame_file(frame, incarnation=incarnation)
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, **_arrays(frame))
        size = temporary.stat().st_size
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return name, size


def read_frame(folder: Path, name: str) -> BatchFrame | None:
    """Frame of a file that `write_frame` wrote; None if it is gone or not whole."""
    try:
        with (folder / name).open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = {key: stored[key] for key in stored.files}
            return _frame(arrays)
    except _NOT_WHOLE:
        return None


def _frame(arrays: dict[str, Any]) -> BatchFrame:
    fields: dict[str, Any] = json.loads(arrays.pop("keys").tobytes())
    fields |= {group: {} for group in _MAPS}
    for key, array in arrays.items():
        group, _, layer = key.partition("/")
        if layer:
            fields[group][layer] = array
        else:
            fields[key] = array
    return BatchFrame.model_validate(fields)


def _arrays(frame: BatchFrame) -> dict[str, Any]:
    keys = frame.model_dump(mode="json", exclude={*_IMAGES, *_MAPS})
    arrays: dict[str, Any] = {name: getattr(frame, name) for name in _IMAGES}
    for group in _MAPS:
        for layer, maps in getattr(frame, group).items():
            arrays[f"{group}/{layer}"] = maps
    arrays["keys"] = np.frombuffer(json.dumps(keys).encode(), dtype=np.uint8)
    return arrays
