import doctest

import pytest

from analyzer_service.analyses import (
    attention,
    bootstrap,
    correlation,
    density,
    dutilleul,
    instances,
    mismatched,
    multiplicity,
    nuclei,
    nuclei_shape,
    quality,
    spread,
    status,
    tile_choice,
    tile_effects,
)

MODULES = [
    attention,
    bootstrap,
    correlation,
    density,
    dutilleul,
    instances,
    mismatched,
    multiplicity,
    nuclei,
    nuclei_shape,
    quality,
    spread,
    status,
    tile_choice,
    tile_effects,
]


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_in_docstrings_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
