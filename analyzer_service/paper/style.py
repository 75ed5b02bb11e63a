"""How figures look: a journal's column widths, small sans-serif text, colors for all eyes."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, Final

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

ONE_COLUMN_MM: Final = 85.0
TWO_COLUMNS_MM: Final = 180.0
DPI: Final = 300
COLORS: Final = {"train": "#0072b2", "val": "#d55e00", "good": "#009e73"}
"""Of M. Okabe and K. Ito's palette, which people with any color vision tell apart."""
LAYER_COLORS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES: Final = ("-", "--", "-.", ":")

_MM_PER_INCH: Final = 25.4
_FONTS: Final = ("Arial", "Helvetica", "Liberation Sans", "DejaVu Sans")
_SETTINGS: Final[dict[Any, Any]] = {
    "font.size": 7.0,
    "axes.titlesize": 7.0,
    "axes.titlepad": 3.0,
    "axes.labelsize": 7.0,
    "xtick.labelsize": 7.0,
    "ytick.labelsize": 7.0,
    "legend.fontsize": 7.0,
    "figure.titlesize": 8.0,
    "axes.linewidth": 0.5,
    "lines.linewidth": 0.9,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "image.composite_image": False,
    "axes.unicode_minus": True,
    "savefig.dpi": DPI,
    "figure.dpi": DPI,
    "path.simplify": False,
}


@contextmanager
def journal_style() -> Iterator[None]:
    """matplotlib with these settings and none of the user's own."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS | {"font.family": [_font()]})
        yield


def new_figure(width_mm: float, height_mm: float) -> Figure:
    """An empty figure of a size in mm, which lays itself out."""
    size = (width_mm / _MM_PER_INCH, height_mm / _MM_PER_INCH)
    return Figure(figsize=size, dpi=DPI, layout="constrained")


def letter(axes: Axes, name: str) -> None:
    """The letter of a panel, above its upper left corner."""
    axes.set_title(name, loc="left", fontweight="bold", fontsize=8.0)


@cache
def _font() -> str:
    known = {entry.name for entry in fontManager.ttflist}
    return next(name for name in _FONTS if name in known)
