"""The examples in the docstrings of the sinks hold."""

import doctest
import importlib

import pytest

MODULES = (
    "json_files",
    "markdown",
    "moments",
    "plain",
    "report_wording",
    "wandb_rows",
    "wandb_summary",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    failed, tried = doctest.testmod(importlib.import_module(f"analyzer_service.sinks.{name}"))

    assert tried > 0
    assert failed == 0
