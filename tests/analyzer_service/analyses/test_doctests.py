"""Examples in docstrings are run: each module that has any."""

import doctest
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest

from analyzer_service import analyses

MODULES = [
    f"{analyses.__name__}.{found.name}"
    for found in iter_modules(analyses.__path__)
    if ">>> " in (Path(analyses.__path__[0]) / f"{found.name}.py").read_text()
]


def test_there_are_examples():
    assert f"{analyses.__name__}.density" in MODULES


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_in_docstrings_are_true(name):
    result = doctest.testmod(import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
