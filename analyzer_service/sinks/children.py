"""The environment of child processes: this very code is importable in them."""

import os
from pathlib import Path

import analyzer_service


def child_environment() -> dict[str, str]:
    """This process's environment, with the folder that holds this package on its path."""
    root = str(Path(analyzer_service.__file__).resolve().parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
