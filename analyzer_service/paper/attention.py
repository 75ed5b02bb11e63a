"""Figure: where attention falls, how it changed, and what it has in common with the tissue."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import AxesImage
from numpy.typing import NDArray

from analyzer_service.analyses.run_pathology import TissueTest
from analyzer_service.figures.colormaps import ATTENTION_LIMIT
from analyzer_service.figures.gates import view_gate
from analyzer_service.figures.ranges import GoodRange, Ranges
from analyzer_service.html.run_charts import RunHistories
from analyzer_service.paper.curves import draw_trend, fit, say_empty, shade
from analyzer_service.paper.style import DASHES, LAYER_COLORS, TWO_COLUMNS_MM, letter, new_figure
from analyzer_service.paper.tiles import ShownTile
from analyzer_service.sinks.report_wording import feature

COUNT: Final = 6
MOST_LAYERS: Final = 3
_ATTENTION_COLORS: Final = "viridis"
_LUMINANCE: Final = np.array((0.299, 0.587, 0.114))


def shown_layers(histories: RunHistories) -> list[str]:
    """The layers that the figure shows."""
    return list(histories.layers)[:MOST_LAYERS]


def has_metrics(histories: RunHistories, ranges: Ranges) -> bool:
    """Whether any of the metrics over the run is defined."""
    return any(
        histories.defined(_phase(histories), f"attention_{layer}_{good.key}")
        for layer in shown_layers(histories)
        for good in ranges.attention[:-1]
    )


def attention_figure(
    tiles: Sequence[ShownTile],
    histories: RunHistories,
    ranges: Ranges,
    outcomes: Sequence[TissueTest],
) -> Figure:
    """Maps over tiles (a), metrics over the run (b), correlations with the tissue (c).

    At most the first three layers are shown; parts without data are left out.
    """
    layers = shown_layers(histories)
    tests = [test for test in outcomes if test.layer in layers]
    maps_mm = (len(layers) + 1) * 26.6 + 6 if tiles else 0.0
    metrics_mm = 38.0 if has_metrics(histories, ranges) else 0.0
    parts = {"maps": maps_mm, "metrics": metrics_mm, "tests": 50.0 if tests else 0.0}
    shown = {name: height for name, height in parts.items() if height}
    figure = new_figure(TWO_COLUMNS_MM, sum(shown.values()))
    rows = figure.subfigures(len(shown), 1, height_ratios=list(shown.values()), squeeze=False)[:, 0]
    for name, part, (kind, _) in zip("abc", rows, shown.items(), strict=False):
        if kind == "maps":
            _maps(part, name, tiles, layers)
        elif kind == "metrics":
            _metrics(part, name, histories, ranges, layers)
        else:
            _tests(part, name, tests, layers)
    return figure


def _maps(part: SubFigure, name: str, tiles: Sequence[ShownTile], layers: Sequence[str]) -> None:
    gaps = {"wspace": 0.02, "hspace": 0.02}
    axes = part.subplots(len(layers) + 1, COUNT, squeeze=False, gridspec_kw=gaps)
    drawn: AxesImage | None = None
    for column in range(COUNT):
        for row, each in enumerate(axes[:, column]):
            _bare(each)
            if column >= len(tiles):
                each.set_axis_off()
            elif row == 0:
                each.imshow(tiles[column].image, interpolation="nearest")
            else:
                drawn = _overlay(each, tiles[column], layers[row - 1]) or drawn
    letter(axes[0, 0], name)
    for each, title in zip(axes[:, 0], ("Input", *layers), strict=True):
        each.set_ylabel(title)
    if drawn is not None:
        bar = part.colorbar(
            drawn, ax=axes.ravel().tolist(), extend="max", fraction=0.02, pad=0.01, shrink=0.8
        )
        bar.set_label("Attention, multiples of an even share")
        bar.outline.set_linewidth(0.5)


def _overlay(axes: Axes, tile: ShownTile, layer: str) -> AxesImage | None:
    height, width = tile.image.shape[:2]
    axes.imshow(_gray(tile.image), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    gate = tile.attention.get(layer)
    density = None if gate is None else view_gate(gate).density
    if density is None:
        axes.set_title("no map")
        return None
    return axes.imshow(
        density,
        cmap=_ATTENTION_COLORS,
        vmin=0,
        vmax=ATTENTION_LIMIT,
        alpha=0.6,
        extent=(-0.5, width - 0.5, height - 0.5, -0.5),
        interpolation="nearest",
    )


def _metrics(
    part: SubFigure, name: str, histories: RunHistories, ranges: Ranges, layers: Sequence[str]
) -> None:
    panels = part.subplots(1, 5)
    letter(panels[0], name)
    for axes, good in zip(panels, ranges.attention[:-1], strict=True):
        axes.set_title(_label(good))
        axes.set_xlabel("Step")
        _curves(axes, good, histories, layers)
    next(axes for axes in panels if axes.lines).legend(loc="lower left")


def _curves(axes: Axes, good: GoodRange, histories: RunHistories, layers: Sequence[str]) -> None:
    phase, drawn = _phase(histories), []
    for number, layer in enumerate(layers):
        metric = f"attention_{layer}_{good.key}"
        if histories.defined(phase, metric):
            look = {"color": LAYER_COLORS[number], "dashes": DASHES[number]}
            drawn.append(histories.trend(phase, metric))
            draw_trend(axes, drawn[-1], name=layer, **look)
    if drawn:
        fit(axes, drawn, good.scale)
        shade(axes, good)
    else:
        say_empty(axes)


def _phase(histories: RunHistories) -> str:
    return "val" if histories.rows["val"] else "train"


def _label(good: GoodRange) -> str:
    return f"{good.label} ({good.unit})" if good.unit else good.label


def _tests(part: SubFigure, name: str, tests: Sequence[TissueTest], layers: Sequence[str]) -> None:
    panels = part.subplots(1, len(layers), sharey=True, squeeze=False)[0]
    features = list(dict.fromkeys(test.feature for test in tests))
    places = {feature: -i for i, feature in enumerate(features)}
    for i, (axes, layer) in enumerate(zip(panels, layers, strict=True)):
        own = [test for test in tests if test.layer == layer]
        _intervals(axes, own, places, LAYER_COLORS[i])
        axes.set_title(layer)
        axes.set_xlabel("Correlation of attention with the tissue, r")
    letter(panels[0], name)
    panels[0].set_yticks(list(places.values()), [feature(name) for name in places])
    marks, words = panels[0].get_legend_handles_labels()
    part.legend(marks[::-1], words[::-1], loc="outside lower center", ncols=2)


def _intervals(axes: Axes, tests: Sequence[TissueTest], places: dict[str, int], color: str) -> None:
    at = [places[test.feature] for test in tests]
    middle = np.array([test.matched for test in tests])
    ends = np.array([(test.low, test.high) for test in tests]).reshape(-1, 2)
    gaps = np.abs(ends.T - middle)
    axes.axvline(0, color="0.5", lw=0.5, zorder=0)
    axes.errorbar(
        middle,
        at,
        xerr=gaps,
        fmt="o",
        color=color,
        ms=3.2,
        lw=0.9,
        capsize=1.8,
        label="own tissue, 95 % CI",
    )
    axes.plot(
        [test.mismatched for test in tests],
        at,
        "o",
        mfc="white",
        mec="0.4",
        ms=3.2,
        mew=0.6,
        zorder=1,
        label="other tiles' tissue",
    )
    axes.set_xlim(-1, 1)
    axes.set_xticks((-1, -0.5, 0, 0.5, 1))


def _bare(axes: Axes) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def _gray(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    gray: NDArray[np.float64] = image @ _LUMINANCE / 255
    return gray
