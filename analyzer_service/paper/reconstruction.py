"""Figure: how well tiles are reconstructed, from the worst to the best."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle

from analyzer_service.figures.wording import number
from analyzer_service.paper.style import TWO_COLUMNS_MM, letter, new_figure
from analyzer_service.paper.tiles import ShownTile, scale_bar_um

COUNT: Final = 5
_ERROR_COLORS: Final = "magma"
_ROWS: Final = ("Input", "Reconstruction", "Absolute error")


def reconstruction_figure(tiles: Sequence[ShownTile], mpp: float | None) -> Figure:
    """Rows input, reconstruction and error, a column each tile.

    Parameters
    ----------
    tiles : sequence of ShownTile
        Lowest SSIM first, at least one.
    mpp : float or None
        Pixel size in µm of tiles that do not say their own, for the scale bar.
    """
    figure = new_figure(TWO_COLUMNS_MM, 3 * (TWO_COLUMNS_MM - 24) / COUNT + 16)
    axes = figure.subplots(3, COUNT, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})
    limit = error_limit(tiles)
    for column in range(COUNT):
        if column < len(tiles):
            last = _column(axes[:, column].tolist(), tiles[column], mpp, limit)
        else:
            for each in axes[:, column]:
                each.set_axis_off()
    for name, each, title in zip("abc", axes[:, 0], _ROWS, strict=True):
        letter(each, name)
        each.set_ylabel(title)
    bar = figure.colorbar(
        last,
        ax=axes.ravel().tolist(),
        extend="max",
        fraction=0.02,
        pad=0.01,
        shrink=0.32,
        anchor=(0.0, 0.0),
    )
    bar.set_label("Share of the intensity range")
    bar.outline.set_linewidth(0.5)
    return figure


def error_limit(tiles: Sequence[ShownTile]) -> float:
    """Error that is drawn in the last color: a round one above 99 % of all pixels.

    Returns
    -------
    float
        0.05, 0.1, 0.25, 0.5 or 1.
    """
    high = max(float(np.quantile(tile.error, 0.99)) for tile in tiles)
    return next(limit for limit in (0.05, 0.1, 0.25, 0.5, 1.0) if high <= limit)


def _column(axes: Sequence[Axes], tile: ShownTile, mpp: float | None, limit: float) -> AxesImage:
    axes[0].imshow(tile.image, interpolation="nearest")
    axes[1].imshow(tile.reconstruction, interpolation="nearest")
    shown = axes[2].imshow(
        tile.error, cmap=_ERROR_COLORS, vmin=0, vmax=limit, interpolation="nearest"
    )
    said = "SSIM undefined" if math.isnan(tile.ssim) else f"SSIM {number(tile.ssim)}"
    axes[1].set_title(said)
    for each in axes:
        each.set_xticks([])
        each.set_yticks([])
        for spine in each.spines.values():
            spine.set_visible(False)
    size = tile.sample.mpp or mpp
    if size is not None:
        _scale_bar(axes[0], tile.image.shape[:2], size)
    return shown


def _scale_bar(axes: Axes, shape: tuple[int, ...], mpp: float) -> None:
    height, width = shape
    length_um = scale_bar_um(width, mpp)
    length = length_um / mpp
    left, top = width * 0.94 - length, height * 0.92
    box = Rectangle(
        (left, top), length, height * 0.02, facecolor="black", edgecolor="white", lw=0.4
    )
    axes.add_patch(box)
    axes.text(
        left + length / 2,
        top - height * 0.02,
        f"{length_um:g} µm",
        ha="center",
        va="bottom",
        fontsize=7,
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.6},
    )
