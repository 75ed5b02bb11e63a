"""Basins against the definition, pixel by pixel."""

import numpy as np
import pytest

from analyzer_service.analyses.nuclei_split import _basins, split
from tests.analyzer_service.analyses.scenes import disk


def top_of(row, col, levels):
    """Climb to the highest of the neighbors in the mask, of equals the last one."""
    while True:
        around = [
            (levels[r, c], r, c)
            for r in range(max(row - 1, 0), min(row + 2, levels.shape[0]))
            for c in range(max(col - 1, 0), min(col + 2, levels.shape[1]))
            if levels[r, c] >= 0
        ]
        _, *highest = max(around)
        if highest == [row, col]:
            return row, col
        row, col = highest


@pytest.mark.parametrize("steps", [2, 6, 2**20])
@pytest.mark.parametrize("shape", [(1, 1), (1, 30), (24, 31)])
def test_every_pixel_climbs_to_the_top_of_its_basin(shape, steps):
    rng = np.random.default_rng(steps)
    relief = (rng.integers(0, steps, shape) / steps).astype(np.float32)
    mask = rng.random(shape) < 0.8
    mask.ravel()[0] = True
    places = np.flatnonzero(mask)
    inside = relief[mask]
    scale = np.float32(65_535 / np.ptp(inside)) if np.ptp(inside) else 0
    levels = np.where(mask, ((relief - inside.min()) * scale).astype(int), -1)
    part, tops = _basins(relief, places)
    expected = [top_of(*divmod(place, shape[1]), levels) for place in places.tolist()]
    assert [divmod(tops[each], shape[1]) for each in part.tolist()] == expected
    assert len(set(tops.tolist())) == len(tops) == part.max() + 1


def test_a_long_way_up_ends_at_its_top():
    relief = np.linspace(0, 1, 5000, dtype=np.float32)[None]
    part, tops = _basins(relief, np.arange(5000))
    assert part.max() == 0
    assert tops.tolist() == [4999]


def test_disks_that_touch_are_parts_and_one_alone_is_whole():
    mask = np.zeros((128, 128), np.uint8)
    for center in ((40, 30), (40, 48), (90, 90)):
        mask[disk(*center, 10)] = 1
    parts = split(mask, mask.astype(np.float32), radius=10.0)
    labels = np.full(mask.shape, -1)
    labels.ravel()[parts.places] = parts.part
    assert (labels >= 0).tolist() == (mask > 0).tolist()
    assert len(np.unique(parts.part)) == 3
    assert len({labels[40, 30], labels[40, 48], labels[90, 90]}) == 3
    assert parts.radius == pytest.approx(10, abs=2)
