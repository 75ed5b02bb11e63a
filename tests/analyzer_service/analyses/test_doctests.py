import doctest

import pytest

from analyzer_service.analyses import (
    attention,
    bootstrap,
    color,
    correlation,
    density,
    dutilleul,
    glcm,
    mismatched,
    multiplicity,
    optical_density,
    quality,
    spread,
    stain,
    status,
    texture,
    tile_choice,
    tile_effects,
    white_point,
)

MODULES = [
    attention,
    bootstrap,
    color,
    correlation,
    density,
    dutilleul,
    glcm,
    mismatched,
    multiplicity,
    optical_density,
    quality,
    spread,
    stain,
    status,
    texture,
    tile_choice,
    tile_effects,
    white_point,
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
