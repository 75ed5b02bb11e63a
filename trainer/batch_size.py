"""How many tiles fit into a batch, when nobody says."""

import copy
import logging
from typing import Final

import torch
from torch import nn

from trainer.model.dae_kan import DAEKAN

log = logging.getLogger(__name__)

_CPU_TILES: Final = {"small": 8, "full": 2}
_CPU_TILE_SIZE: Final = 128
_MOST_ON_CPU: Final = 64
_MOST_ON_CUDA: Final = 32
_MEMORY_SHARE: Final = 0.5
_PROBES: Final = (2, 4)


def choose_batch_size(model: DAEKAN, tile_size: int, *, gpu: int | None) -> int:
    """A power of two from 2 on.

    On a CPU: 8 tiles of 128 pixels for the small model (2 for the full one), in proportion
    more of smaller tiles and fewer of larger ones, at most 64. On CUDA: two training passes
    of 2 and 4 tiles measure what one tile costs; the batch may take half of the free memory,
    at most 32 tiles.
    """
    if gpu is None:
        fitting = _CPU_TILES[model.size] * (_CPU_TILE_SIZE / tile_size) ** 2
        size = _power_of_two(min(fitting, _MOST_ON_CPU))
    else:
        size = _power_of_two(min(_fitting_on_cuda(model, tile_size, gpu), _MOST_ON_CUDA))
    log.info("batch size: %d, found for this machine", size)
    return size


def _power_of_two(limit: float) -> int:
    return max(2, 1 << (max(1, int(limit)).bit_length() - 1))


def _fitting_on_cuda(model: nn.Module, tile_size: int, gpu: int) -> float:
    device = torch.device("cuda", gpu)
    probed = copy.deepcopy(model).to(device)
    try:
        with torch.random.fork_rng([gpu]):
            small, large = (_peak_bytes(probed, tiles, tile_size) for tiles in _PROBES)
        per_tile = max(1.0, (large - small) / (_PROBES[1] - _PROBES[0]))
        free, _ = torch.cuda.mem_get_info(device)
        return _MEMORY_SHARE * free / per_tile
    except torch.cuda.OutOfMemoryError:
        return 1
    finally:
        del probed
        torch.cuda.empty_cache()


def _peak_bytes(model: nn.Module, tiles: int, tile_size: int) -> int:
    """Most memory that one training pass takes."""
    device = next(model.parameters()).device
    torch.cuda.reset_peak_memory_stats(device)
    _, decoded, _ = model(torch.rand(tiles, 3, tile_size, tile_size, device=device))
    decoded.mean().backward()
    model.zero_grad(set_to_none=True)
    return torch.cuda.max_memory_allocated(device)
