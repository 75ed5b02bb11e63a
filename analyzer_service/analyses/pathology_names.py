"""Names of the pathology numbers in a row, in one place.

A number of the tissue has a plain name; one that compares attention with it ends in the layer's
(``nuclear_attention_auc_bam_384``). The primary layer's stand there without it, too.
"""

from typing import Final

TISSUE_NUMBERS: Final = (
    "tissue_fraction",
    "hematoxylin_intensity",
    "eosin_intensity",
    "dab_intensity",
    "color_variance",
    "texture_contrast",
    "texture_homogeneity",
    "texture_energy",
    "white_fraction",
    "edge_density_experimental",
    "nuclear_count",
    "nuclear_area_fraction",
    "nuclear_density",
    "nuclear_area_mean",
    "nuclear_area_cv",
    "nuclear_eccentricity_mean",
    "nuclear_nn_distance",
    "clark_evans",
)

OVERLAPS: Final = (
    "nuclear_attention_overlap",
    "nuclear_attention_enrichment",
    "nuclear_attention_auc",
    "nuclear_attention_nss",
)

CORRELATION: Final = "tissue_attention_correlation"
EFFECTIVE_SIZE: Final = "tissue_attention_ess"
P_VALUE: Final = "tissue_attention_p"
"""Dutilleul's test of one tile: descriptive, so a row, which is a mean over tiles, has none."""

TISSUE: Final = "tissue"
FEATURES: Final = (
    TISSUE,
    "hematoxylin",
    "eosin",
    "dab",
    "nuclear_density",
    "color_variance",
    "glcm_contrast",
    "glcm_homogeneity",
    "glcm_energy",
)
"""Maps that attention is correlated with; `TISSUE` is the summed optical density."""

COUNTS: Final = ("tiles_without_tissue", "tiles_without_nuclei")
"""Of a row: tiles without stain intensities, and tiles in which no nucleus was found."""
LAYER_COUNT: Final = "nuclear_attention_undefined"
"""Of a row and a layer: tiles without an overlap of attention with nuclei."""

STARTS: Final = (
    *("tissue_", "hematoxylin_", "eosin_", "dab_", "color_variance", "texture_"),
    *("white_fraction", "edge_density_", "nuclear_", "clark_evans", "tiles_without_"),
)
"""How every name of pathology begins, so that a user's own scalars can keep away."""


def feature_name(start: str, feature: str) -> str:
    """Name of a number that compares attention with a feature's map, without a layer.

    Examples
    --------
    >>> feature_name(CORRELATION, "eosin"), feature_name(CORRELATION, TISSUE)
    ('tissue_attention_correlation/eosin', 'tissue_attention_correlation')
    """
    return start if feature == TISSUE else f"{start}/{feature}"


def layer_names() -> tuple[str, ...]:
    """Every number that a row has for each layer, without the layer."""
    return (*OVERLAPS, *(feature_name(CORRELATION, feature) for feature in FEATURES))


def layer_key(name: str, layer: str) -> str:
    """Name in a row of a number of one layer.

    Examples
    --------
    >>> layer_key("nuclear_attention_auc", "bam_384")
    'nuclear_attention_auc_bam_384'
    """
    return f"{name}_{layer}"


def is_of_one_tile(name: str) -> bool:
    """Tell whether a number speaks of one tile only, so that a mean over tiles says nothing."""
    return name.startswith((EFFECTIVE_SIZE, P_VALUE))
