"""The examples in the docstrings give what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["settings"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"analyzer_service.compare.{name}"))
    assert tried > 0
    assert failed == 0
