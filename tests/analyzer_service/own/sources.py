"""Modules of a user, written to a folder, and a pipeline that is driven with them."""

from pathlib import Path
from typing import Final

from analyzer_service.own.checking import check_analyzer
from analyzer_service.own.source import OwnSource

HEAD: Final = """
import math, os, signal, sys, time
import numpy as np
from analyzer_service import AutomaticAnalyzer

class Mine(AutomaticAnalyzer):
    def custom_analysis(self, batch_metrics, frame):
        step, phase = batch_metrics["phase_step"], batch_metrics["phase"]
"""
GOOD: Final = """
        loss = batch_metrics["loss"]
        return {"loss": 2 * loss, "brightness": frame.input.mean(), "step": step}
"""


def write_source(folder: Path, body: str = GOOD, *, name: str = "mine") -> Path:
    """Write a class ``Mine`` whose analysis is `body`."""
    path = folder / f"{name}.py"
    path.write_text(HEAD + body)
    return path


def checked(folder: Path, body: str = GOOD, *, name: str = "mine") -> OwnSource:
    """The class that `write_source` writes, as the command line takes it."""
    write_source(folder, body, name=name)
    found = check_analyzer(f"{name}:Mine", str(folder))
    assert found is not None
    return found
