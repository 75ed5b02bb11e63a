"""The examples in the docstrings give what they say."""

import doctest

from analyzer_service.paper import tiles


def test_examples() -> None:
    failed, tried = doctest.testmod(tiles)
    assert tried > 0
    assert failed == 0
