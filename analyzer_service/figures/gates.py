"""What a gate shows: its attention density in multiples of the uniform share, and a remark."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analyzer_service.analyses.density import excess_density
from analyzer_service.analyses.status import Status, map_status
from analyzer_service.analyses.values import value_metrics
from analyzer_service.figures.wording import number


@dataclass(frozen=True)
class GateView:
    """A gate as it is drawn.

    Attributes
    ----------
    density : ndarray of shape (h, w), float32, or None
        Excess density times the number of cells: 0 none, 1 the uniform share; its mean is 1.
        None when the gate has no density.
    contrast : float
        Standard deviation over mean of the raw gate; NaN when it has none.
    remark : str
        What a reader must know before believing the colors; empty for a clear gate.
    short : str
        The remark in a word.
    """

    density: NDArray[np.float32] | None
    contrast: float = math.nan
    remark: str = ""
    short: str = ""


_UNREADABLE: dict[Status, GateView] = {
    "nonfinite": GateView(None, remark="gate is not finite: no attention map", short="no map"),
    "tiny": GateView(None, remark="gate has too few cells for a map", short="no map"),
}


def view_gate(gate: NDArray[np.float32]) -> GateView:
    """Read a gate (h, w) for drawing; no value in it raises."""
    found = map_status(gate)
    if found.status in _UNREADABLE:
        return _UNREADABLE[found.status]
    if found.status == "flat":
        remark = "constant gate: no spatial attention"
        return GateView(np.ones(gate.shape, np.float32), 0.0, remark, "constant")
    density = (excess_density(gate) * gate.size).astype(np.float32)
    contrast = float(value_metrics(gate[None].astype(np.float64))["attention_contrast"][0])
    if not found.low_contrast:
        return GateView(density, contrast)
    return GateView(density, contrast, f"weak: contrast {number(contrast)}, may be noise", "weak")
