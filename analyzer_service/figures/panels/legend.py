"""Color bars and scale bars."""

from collections.abc import Mapping

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_hex

from analyzer_service.figures.boxes import Box
from analyzer_service.figures.colormaps import color_table
from analyzer_service.figures.lettering import INK, SMALL, text_width
from analyzer_service.figures.outlines import outline_strokes
from analyzer_service.figures.scaling import scaled
from analyzer_service.figures.sheet import Sheet

_ARROW = 10
_SAMPLE = 14
_LENGTHS_UM = tuple(base * 10.0**power for power in range(-2, 5) for base in (1, 2, 5))


def draw_color_bar(
    sheet: Sheet, box: Box, colors: LinearSegmentedColormap, ticks: Mapping[float, str]
) -> None:
    """An upright color bar whose arrow says that higher values have the last color.

    `ticks` are labels by their place on the bar, 0 at its foot to 1 under the arrow.
    """
    table = color_table(colors)
    bar = Box(box.x, box.y + _ARROW, box.width, box.height - _ARROW)
    column = table[::-1, None, :].repeat(int(box.width), axis=1)
    sheet.image(bar, scaled(column, (int(bar.width), int(bar.height))), "color bar")
    tip = (box.x + box.width / 2, box.y)
    sheet.polygon([(bar.x, bar.y), (bar.right, bar.y), tip], to_hex(colors(1.0)))
    for place, label in ticks.items():
        y = bar.bottom - place * bar.height
        at = min(max(y + 4, box.y + 14), bar.bottom - 1)
        sheet.text((box.right + 6, at), label, SMALL.colored(INK))


def draw_outline_key(sheet: Sheet, at: tuple[float, float], color: str, text: str) -> None:
    """A piece of an outline and what it encloses; `at` is its left end on the baseline."""
    x, y = at[0], round(at[1]) - 4
    for stroke in outline_strokes(color):
        sheet.line(np.array([[x, y], [x + _SAMPLE, y]]), stroke)
    sheet.text((x + _SAMPLE + 6, at[1]), text, SMALL)


def scale_bar_length(width_um: float) -> float:
    """The longest round length (1, 2, 5 times a power of 10) up to 0.3 of `width_um`.

    Examples
    --------
    >>> scale_bar_length(64.0), scale_bar_length(256.0)
    (10.0, 50.0)
    """
    fitting = [length for length in _LENGTHS_UM if length <= 0.3 * width_um]
    return max(fitting, default=0.3 * width_um)


def draw_scale_bar(sheet: Sheet, image: Box, um_per_shown_pixel: float) -> None:
    """A scale bar on a plate in the image's bottom right corner."""
    length = scale_bar_length(image.width * um_per_shown_pixel)
    bar = length / um_per_shown_pixel
    label = f"{length:g} µm"
    plate_width = max(bar, text_width(label, SMALL)) + 16
    plate = Box(image.right - plate_width - 8, image.bottom - 38, plate_width, 30)
    sheet.fill(plate, INK)
    middle = plate.x + plate.width / 2
    sheet.text((middle, plate.y + 15), label, SMALL.colored("white").center())
    sheet.fill(Box(middle - bar / 2, plate.y + 21, bar, 3), "white")
