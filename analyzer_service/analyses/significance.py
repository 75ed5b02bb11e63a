"""Whether attention goes with pathology beyond chance: the tests that may be shown.

A pixel is no observation: neighboring cells of a map agree, so a p-value that counts cells calls
almost every pair of smooth maps significant. What there is instead:

* one tile: `modified_t_test` (Dutilleul) counts the cells that are worth an independent one;
* one run: `mismatched_tile_test` asks if attention fits its own tile better than others. It is
  the inference to show: what all tiles share, such as the border of a padded gate, is in its null;
* the size of its effect: `cluster_bootstrap` of `tile_effects` over slides;
* many layers and features: `benjamini_hochberg`;
* exploration only: `toroidal_shift_test`.
"""

from analyzer_service.analyses.arrays import ArrayError
from analyzer_service.analyses.bootstrap import BootstrapInterval, cluster_bootstrap
from analyzer_service.analyses.correlation import (
    METHODS,
    Method,
    correlation_matrix,
    spearman,
)
from analyzer_service.analyses.dutilleul import (
    Correlograms,
    ModifiedT,
    compared,
    correlograms,
    modified_t_test,
    modified_t_tests,
)
from analyzer_service.analyses.mismatched import (
    MismatchedTileTest,
    mismatched_test_of,
    mismatched_tile_test,
)
from analyzer_service.analyses.multiplicity import benjamini_hochberg
from analyzer_service.analyses.tile_choice import MOST_TILES, choose_tiles
from analyzer_service.analyses.tile_effects import tile_effects
from analyzer_service.analyses.toroidal import ToroidalShiftTest, toroidal_shift_test

__all__ = [
    "METHODS",
    "MOST_TILES",
    "ArrayError",
    "BootstrapInterval",
    "Correlograms",
    "Method",
    "MismatchedTileTest",
    "ModifiedT",
    "ToroidalShiftTest",
    "benjamini_hochberg",
    "choose_tiles",
    "cluster_bootstrap",
    "compared",
    "correlation_matrix",
    "correlograms",
    "mismatched_test_of",
    "mismatched_tile_test",
    "modified_t_test",
    "modified_t_tests",
    "spearman",
    "tile_effects",
    "toroidal_shift_test",
]
