"""Color maps that color-blind people can read, as tables for the browser."""

from typing import Final

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from analyzer_service.figures.colormaps import ATTENTION_COLORS, color_table

NAMES: Final = ("viridis", "cividis", "magma", "gray")
"""Matplotlib's: evenly spaced in lightness, so that they read without any color."""


def color_tables() -> dict[str, NDArray[np.uint8]]:
    """256 colors of each, from low to high, uint8 of shape (256, 3).

    ``dashboard`` is the scale that dashboards draw attention with.
    """
    levels = np.arange(256)
    tables = {name: colormaps[name](levels, bytes=True)[:, :3] for name in NAMES}
    return tables | {"dashboard": color_table(ATTENTION_COLORS)}
