"""The examples in the docstrings give what they say."""

import doctest
import importlib

import pytest


@pytest.mark.parametrize("name", ["markup", "shell", "svg", "trends"])
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"analyzer_service.html.{name}"))
    assert tried > 0
    assert failed == 0
