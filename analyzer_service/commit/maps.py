"""Attention maps of one frame as a blob of float32, with their layers and shapes beside it."""

import json
from collections.abc import Mapping
from math import prod
from typing import Final

import numpy as np
from numpy.typing import NDArray

Maps = NDArray[np.float32]
PackedMaps = tuple[str, bytes]
MAX_EPOCH_BYTES: Final = 64 << 20
"""Most bytes of maps that are kept of one rank's validation epoch."""

_FLOAT32: Final = np.dtype("<f4")


def pack_maps(attention: Mapping[str, Maps]) -> PackedMaps | None:
    """Layers (JSON) and blob of a frame's maps (N, h, w); None if there are none, or too much."""
    if not attention or sum(maps.nbytes for maps in attention.values()) > MAX_EPOCH_BYTES:
        return None
    layers = json.dumps({layer: maps.shape for layer, maps in attention.items()})
    return layers, b"".join(maps.astype(_FLOAT32).tobytes() for maps in attention.values())


def unpack_maps(layers: str, blob: bytes) -> dict[str, Maps]:
    """Maps by layer, read-only, as `pack_maps` got them."""
    maps, at = {}, 0
    for layer, shape in json.loads(layers).items():
        count = prod(shape)
        maps[layer] = np.frombuffer(blob, _FLOAT32, count, at).reshape(shape)
        at += count * _FLOAT32.itemsize
    return maps
