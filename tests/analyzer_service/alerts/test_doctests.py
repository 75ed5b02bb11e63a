"""The examples in the docstrings hold."""

import doctest
import importlib
import pkgutil

import pytest

import analyzer_service.alerts as package

MODULES = sorted(found.name for found in pkgutil.iter_modules(package.__path__))


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("_child")])
def test_examples_hold(name: str) -> None:
    module = importlib.import_module(f"{package.__name__}.{name}")
    assert doctest.testmod(module).failed == 0
