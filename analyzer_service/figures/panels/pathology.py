"""What the tissue shows and whether attention follows it: a block of the summary."""

import math

from analyzer_service.figures.data import DashboardData
from analyzer_service.figures.panels.facts import Facts
from analyzer_service.figures.wording import UNDEFINED, number, with_unit

CORRELATION = "tissue_attention_correlation"
"""Key of the correlation with tissue; ``/{feature}`` follows for that with a feature."""

FEATURES = {
    "hematoxylin": "hematoxylin",
    "eosin": "eosin",
    "dab": "DAB",
    "nuclear_density": "nuclear density",
    "color_variance": "color variance",
    "glcm_contrast": "texture contrast",
    "glcm_homogeneity": "texture homogeneity",
    "glcm_energy": "texture energy",
}
"""Features that attention is compared with, and their names for readers."""

_TISSUE_KEYS = (
    "nuclear_count",
    "nuclear_density",
    "nuclear_area_fraction",
    "hematoxylin_intensity",
    "eosin_intensity",
    "dab_intensity",
    "tissue_fraction",
)
_ATTENTION_KEYS = ("nuclear_attention_enrichment", "nuclear_attention_auc", CORRELATION)

_BIASED_FROM = 0.8


def has_pathology(data: DashboardData) -> bool:
    """Whether the row tells of the tissue; rows of older runs and of dropped frames do not."""
    keys = (*_TISSUE_KEYS, *_ATTENTION_KEYS)
    return data.count("samples") > 0 and any(key in data.row for key in keys)


def remark(data: DashboardData) -> str:
    """How much of the tiles is tissue, or why there is little to tell."""
    tissue = data.value("tissue_fraction")
    if tissue == 0:
        return "no tissue in these tiles"
    parts = [] if math.isnan(tissue) else [f"tissue covers {percent(tissue)}"]
    if data.value("nuclear_count") == 0:
        parts.append("no nuclei found")
    return " · ".join(parts)


def tissue_facts(data: DashboardData) -> Facts:
    """Nuclei and stains, as means over the analyzed tiles."""
    facts = [("Nuclei per tile", number(data.value("nuclear_count")))]
    unit = _density_unit(data)
    if unit is not None:
        facts.append(("Nuclear density", with_unit(data.value("nuclear_density"), unit)))
    facts.append(("Nuclear area", percent(data.value("nuclear_area_fraction"))))
    return [*facts, _stain_fact(data)]


def attention_facts(data: DashboardData) -> Facts:
    """How the primary layer's attention lies to nuclei and tissue."""
    facts = [
        ("Attention on nuclei", _times_chance(data.value("nuclear_attention_enrichment"))),
        ("AUC on nuclei", number(data.value("nuclear_attention_auc"), 2)),
        ("Correlation with tissue", number(data.value(CORRELATION), 2)),
    ]
    correlations = {name: data.value(f"{CORRELATION}/{name}") for name in FEATURES}
    known = {name: value for name, value in correlations.items() if not math.isnan(value)}
    if known:
        strongest = max(known, key=lambda name: abs(known[name]))
        facts.append((f"strongest: {FEATURES[strongest]}", number(known[strongest], 2)))
    return facts


def position_warning(data: DashboardData) -> str:
    """A sentence when attention ignores what the tiles show; empty otherwise."""
    bias = data.value("attention_position_bias")
    if data.count("samples") < 2 or not bias >= _BIASED_FROM:
        return ""
    return f"Attention looks at the same places whatever the tile shows: bias {number(bias, 2)}"


def percent(share: float) -> str:
    """A share as a percentage.

    Examples
    --------
    >>> percent(0.1824), percent(math.nan)
    ('18.2 %', 'undefined')
    """
    return with_unit(100 * share, "%")


def _density_unit(data: DashboardData) -> str | None:
    """Without a pixel size nuclei are counted per area in pixels; None where neither is known."""
    if data.mpp is not None:
        return "/mm²"
    return None if data.frame is None else "per 10⁴ px"


def _stain_fact(data: DashboardData) -> tuple[str, str]:
    is_dab = not math.isnan(data.value("dab_intensity")) or "eosin_intensity" not in data.row
    other, name = ("dab", "DAB") if is_dab else ("eosin", "eosin")
    values = [number(data.value(f"{stain}_intensity"), 2) for stain in ("hematoxylin", other)]
    both = UNDEFINED if set(values) == {UNDEFINED} else " · ".join(values)
    return f"Hematoxylin · {name}, OD", both


def _times_chance(enrichment: float) -> str:
    text = number(enrichment, 2)
    return text if text == UNDEFINED else f"{text} × chance"
