"""Starting Sidelight's commands as a user does, in processes of their own."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
LIMIT_S = 240
TINY = (
    *("--no-cuda", "--model", "small", "--batch-size", "4", "--num-workers", "0"),
    *("--tile-size", "64", "--seed", "7"),
)


def run(
    *command: str | Path, cwd: Path, check: bool = True, limit_s: float = LIMIT_S
) -> "subprocess.CompletedProcess[str]":
    """Run ``python -m …`` to its end; with `check`, show what it said when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=limit_s,
        check=False,
    )
    if check:
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start(
    *command: str | Path, cwd: Path, log: Path, variables: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    """Start ``python -m …`` in the background; what it says goes to `log`.

    `variables` are added to its environment.
    """
    with log.open("wb") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=cwd,
            env=environment() | dict(variables or {}),
            stdout=sink,
            stderr=subprocess.STDOUT,
        )


def environment() -> dict[str, str]:
    """This environment without any W&B account, so that nothing leaves the machine."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    ours = {"PYTHONPATH": str(ROOT), "SIDELIGHT_LOG_FORMAT": "text"}  # as on a terminal
    return kept | ours | {"NETRC": os.devnull, "OMP_NUM_THREADS": "1"}
