import doctest

import pytest

from analyzer_service.analyses import attention, density, quality, spread, status


@pytest.mark.parametrize("module", [attention, density, quality, spread, status])
def test_the_examples_in_docstrings_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0
