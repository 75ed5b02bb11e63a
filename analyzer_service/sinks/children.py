"""The environment of child processes: this very code is importable in them."""

import os
from pathlib import Path

import analyzer_service


def child_environment() -> dict[str, str]:
    """This process's environment, with the folder that holds this package on its path."""
    root = str(Path(analyzer_service.__file__).resolve().parents[1])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def wandb_environment() -> dict[str, str]:
    """`child_environment` of a process that runs wandb.

    Without WANDB_MODE, as the mode is decided and wandb ends at one that it does not know, and
    without variables of wandb's that are set to nothing: it takes those for wrong values.
    """
    return {
        name: value
        for name, value in child_environment().items()
        if name != "WANDB_MODE" and (value or not name.startswith("WANDB_"))
    }
