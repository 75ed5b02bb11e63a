"""Reading W&B's offline files back with its own inspector."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def records(directory: Path) -> list[dict[str, Any]]:
    """Every record of a run's transaction log."""
    command = [sys.executable, "-m", "wandb", "leet", "inspect", "--json", str(directory)]
    output = subprocess.run(command, capture_output=True, check=True, timeout=60, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def history(*directories: Path) -> list[dict[str, Any]]:
    """What was logged, call by call."""
    return [
        record["history"]["item"]
        for directory in directories
        for record in records(directory)
        if record["type"] == "history"
    ]


def summary(directory: Path) -> dict[str, Any]:
    """The run's summary at the end."""
    merged: dict[str, Any] = {}
    for record in records(directory):
        if record["type"] == "summary":
            merged |= record["summary"]["update"]
    return merged


def column(items: list[dict[str, Any]], key: str) -> list[Any]:
    """Values of one key, in the order in which they were logged."""
    return [item[key] for item in items if key in item]
