"""The layers of a frame: which there are, what one tile's map shows, and its stored numbers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.status import Status, map_status
from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.gates import view_gate
from shared.messages import BatchFrame, LayerKind, RunStarted

FloatMap = NDArray[np.float32]

_ACTIVATION_REMARKS: Final[dict[Status, str]] = {
    "nonfinite": "activation is not finite: no map",
    "tiny": "activation has too few cells for a map",
    "flat": "constant activation: no pattern",
    "ok": "",
}


@dataclass(frozen=True, slots=True)
class FrameLayer:
    """A layer and its maps (N, h, w); `primary` is the one that dashboards show large."""

    name: str
    kind: LayerKind
    primary: bool
    maps: FloatMap

    @property
    def key(self) -> str:
        """Its name among the arrays, and the beginning of its numbers' names."""
        return f"{self.kind}_{self.name}"


@dataclass(frozen=True, slots=True)
class LayerView:
    """One tile's map as it is to be read.

    Attributes
    ----------
    status : str
        ``ok``, ``flat``, ``tiny`` or ``nonfinite``, as `analyses.status` says.
    remark : str
        What a reader must know before believing the colors; empty for a clear map.
    values : ndarray of shape (h, w), float32
        As stored.
    density : ndarray of shape (h, w), float32, or None
        In multiples of an even share, as dashboards show it; None where it is undefined.
    """

    status: Status
    remark: str
    values: FloatMap
    density: FloatMap | None


def layers_of(frame: BatchFrame, started: RunStarted) -> list[FrameLayer]:
    """Layers in the order of dashboards: the primary one, other gates, then activations."""
    dashboard = DashboardData(run=started, phase=frame.phase, row={}, frame=frame)
    gates = [
        FrameLayer(name, "attention", name == dashboard.primary, frame.attention[name])
        for name in dashboard.layers
    ]
    order = [layer.name for layer in started.layers if layer.name in frame.activation]
    names = dict.fromkeys([*order, *sorted(frame.activation)])
    return gates + [FrameLayer(n, "activation", False, frame.activation[n]) for n in names]


def view_layer(layer: FrameLayer, position: int) -> LayerView:
    """What the map of tile `position` shows."""
    values = layer.maps[position]
    status, view = map_status(values).status, view_gate(values)
    remark = view.remark
    if layer.kind == "activation":  # low contrast is defined for gates, which are in (0, 1)
        remark = _ACTIVATION_REMARKS[status]
    return LayerView(status, remark, values, view.density)


def by_layer(
    values: Mapping[str, float], layers: list[FrameLayer]
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Part a tile's numbers into those of the tile and those of each layer, by its `key`.

    A number belongs to a layer if its name begins with the layer's key (the rest is then its
    name), or, of gates, ends in the layer's name. The longest match counts.
    """
    tile: dict[str, float] = {}
    parted: dict[str, dict[str, float]] = {layer.key: {} for layer in layers}
    longest_first = sorted(layers, key=lambda layer: -len(layer.name))
    for name, value in values.items():
        for layer in longest_first:
            if (short := _short_name(name, layer)) is not None:
                parted[layer.key][short] = value
                break
        else:
            tile[name] = value
    return tile, parted


def _short_name(name: str, layer: FrameLayer) -> str | None:
    if name.startswith(f"{layer.key}_"):
        return name.removeprefix(f"{layer.key}_")
    compares = name.startswith(("nuclear_attention_", "tissue_attention_"))
    if layer.kind == "attention" and compares and name.endswith(f"_{layer.name}"):
        return name.removesuffix(f"_{layer.name}")
    return None
