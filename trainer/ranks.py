"""Several ranks on one machine: which one this process is, and what rank 0 chose for all of them.

Lightning starts every further rank as a process with the same command line and says in
``LOCAL_RANK`` which one it is. What the command line leaves open (a run's name by the clock, a
batch size that was measured) is chosen once, and reaches the others in `VARIABLE`.
"""

import logging
import os
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.errors import ConfigurationError

log = logging.getLogger(__name__)

VARIABLE: Final = "SIDELIGHT_RANKS"
_END_S: Final = 30.0


class Chosen(BaseModel):
    """What rank 0 chose for every rank of the run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    run_name: str
    batch_size: int


def this_rank() -> int:
    """Number of this process among those that Lightning started on this machine; 0 alone."""
    return int(os.environ.get("LOCAL_RANK") or 0)


def chosen_by_first(devices: int) -> Chosen | None:
    """What rank 0 chose; None in rank 0 itself, which starts the others of `devices`.

    Raises
    ------
    ConfigurationError
        If another program started several of this trainer.
    """
    launcher = None if VARIABLE in os.environ else _launcher(devices)
    if launcher is None and this_rank() == 0:
        return None
    try:
        return Chosen.model_validate_json(os.environ.get(VARIABLE, ""))
    except ValidationError:
        raise ConfigurationError(
            f"{launcher or f'LOCAL_RANK is {this_rank()}'}, but no rank 0 of this trainer started "
            "this process: start it once, with --devices N, and it starts its ranks by itself"
        ) from None


def _launcher(devices: int) -> str | None:
    """What tells that another program started several of this trainer, or wants to."""
    tasks, world = (_number(name) for name in ("SLURM_STEP_NUM_TASKS", "WORLD_SIZE"))
    if tasks > 1 or _number("SLURM_PROCID") > 0:
        return f"srun started {tasks or 'several'} tasks"
    if "TORCHELASTIC_RUN_ID" in os.environ and world > 1:
        return f"torchrun started {world} processes"
    if "LOCAL_RANK" in os.environ and devices > 1:  # Lightning would start none, and wait for them
        return f"LOCAL_RANK is {os.environ['LOCAL_RANK']}"
    return None


def _number(name: str) -> int:
    value = os.environ.get(name, "")
    return int(value) if value.isdigit() else 0


@contextmanager
def telling_the_others(chosen: Chosen, devices: int) -> Iterator[None]:
    """Let the ranks that are started meanwhile know what rank 0 chose."""
    if devices == 1 or this_rank() != 0:
        yield
        return
    # Lightning leaves these behind in rank 0; a later fit would take itself for one of its ranks.
    names = (VARIABLE, "LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
    before = {name: os.environ.get(name) for name in names}
    os.environ[VARIABLE] = chosen.model_dump_json()
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def wait_for(processes: "Iterable[subprocess.Popen[bytes]]") -> None:
    """Wait for further ranks to end: they may still be writing what they hold.

    Where rank 0's process is all that keeps a container alive, they would be gone with it.
    """
    deadline_s = time.monotonic() + _END_S
    for process in processes:
        try:
            process.wait(max(0.0, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            log.warning("process %d of this run has not ended yet", process.pid)


def files_of_others(path: Path | None, ranks: int) -> tuple[Path, ...]:
    """What the further ranks write where rank 0 writes to `path`."""
    return () if path is None else tuple(file_of_rank(path, rank) for rank in range(1, ranks))


def file_of_rank(path: Path, rank: int) -> Path:
    """Where `rank` writes what rank 0 writes to `path`.

    Examples
    --------
    >>> [str(file_of_rank(Path("runs/all.mcap"), rank)) for rank in (0, 1)]
    ['runs/all.mcap', 'runs/all.rank1.mcap']
    """
    return path if rank == 0 else path.with_name(f"{path.stem}.rank{rank}{path.suffix}")
