"""The tissue of a frame: columns of numbers, counts of the batch, and maps to be kept."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.arrays import Floats, as_maps
from analyzer_service.analyses.cadence import DETAIL_EVERY
from analyzer_service.analyses.pathology import (
    GridTissue,
    attention_columns,
    on_grid,
    tile_tissue,
)
from analyzer_service.analyses.pathology_names import (
    COUNTS,
    LAYER_COUNT,
    OVERLAPS,
    layer_key,
)
from analyzer_service.analyses.tissue_facts import TissueFacts
from shared.messages import BatchFrame

Columns = dict[str, Floats]
TileMaps = dict[str, NDArray[np.float32]]

_NOTHING: Final = np.full((8, 8, 3), 255, dtype=np.uint8)


@dataclass
class FrameTissue:
    """What is known of the tissue of a frame's N tiles.

    Attributes
    ----------
    columns : dict of str to ndarray of shape (N,)
    counts : dict of str to float
        How many tiles lack something.
    tile_maps : list of dict of str to ndarray of shape (h, w)
        ``attention/{layer}`` and ``{h}x{w}/{feature}`` of each tile.
    """

    columns: Columns = field(default_factory=dict)
    counts: dict[str, float] = field(default_factory=dict)
    tile_maps: list[TileMaps] = field(default_factory=list)


def measure_tissue(frame: BatchFrame, facts: TissueFacts) -> FrameTissue:
    """Measure the tissue of a frame, and compare each layer's attention with it.

    Dutilleul's test of a tile describes that tile only, so it is made as often as people look:
    in validation, and in every 20th training batch.
    """
    count = len(frame.samples)
    gates = {layer: as_maps(maps) for layer, maps in frame.attention.items()}
    grid_of = {layer: (maps.shape[1], maps.shape[2]) for layer, maps in gates.items()}
    grids = sorted(set(grid_of.values()))
    tiles = [
        tile_tissue(image, facts, sample.mpp or facts.mpp, grids)
        for image, sample in zip(frame.input, frame.samples, strict=True)
    ]
    found = FrameTissue(tile_maps=[{} for _ in tiles])
    tiles = tiles or [tile_tissue(_NOTHING, facts, None, grids)]  # it has the same names
    found.columns = {
        name: np.array([tile.numbers[name] for tile in tiles[:count]]) for name in tiles[0].numbers
    }
    found.counts = dict(zip(COUNTS, _lacking(found.columns), strict=True))
    tissues = {grid: on_grid(tiles, grid, tested=is_tested(frame)) for grid in grids}
    for (height, width), tissue in tissues.items():
        _add_tissue(found.tile_maps, tissue, f"{height}x{width}")
    for layer, maps in gates.items():
        shown = maps if count else np.full((1, *grid_of[layer]), np.nan)
        _add_layer(found, layer, shown, tissues[grid_of[layer]])
    return found


def is_tested(frame: BatchFrame) -> bool:
    """Tell whether the tiles of a frame have p-values of their own."""
    return frame.phase == "val" or frame.phase_step % DETAIL_EVERY == 0


def _lacking(columns: Columns) -> tuple[float, float]:
    no_tissue = np.isnan(columns["hematoxylin_intensity"]).sum()
    return float(no_tissue), float((columns["nuclear_count"] == 0).sum())


def _add_layer(found: FrameTissue, layer: str, gates: Floats, tissue: GridTissue) -> None:
    columns = attention_columns(gates, tissue)
    count = len(found.tile_maps)
    found.columns |= {layer_key(name, layer): each[:count] for name, each in columns.items()}
    undefined = np.isnan(columns[OVERLAPS[0]][:count]).sum()
    found.counts[layer_key(LAYER_COUNT, layer)] = float(undefined)
    for kept, gate in zip(found.tile_maps, gates, strict=False):
        kept[f"attention/{layer}"] = gate.astype(np.float32)


def _add_tissue(tile_maps: list[TileMaps], tissue: GridTissue, grid: str) -> None:
    for name, maps in tissue.fields.items():
        for kept, one in zip(tile_maps, maps, strict=False):
            kept[f"{grid}/{name}"] = one.astype(np.float32)
