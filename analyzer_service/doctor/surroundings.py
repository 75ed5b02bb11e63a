"""What is around: ports, keys, disk, processors, memory, a GPU, W&B."""

import os
import shutil
import socket
import sqlite3
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

import psutil

from analyzer_service.doctor.findings import Finding
from analyzer_service.settings import (
    DEFAULT_LEAST_FREE,
    DEFAULT_METRICS_PORT,
    check_output_dir,
    default_wandb_mode,
    default_workers,
    has_wandb_key,
    parse_size,
)
from shared.errors import ConfigurationError
from shared.transport.keys import load_client_keys, load_server_keys

_HOST: Final = "127.0.0.1"
_TENTH: Final = 10
_SERVER_SECRET: Final = "server.key_secret"
_CLIENT_SECRET: Final = "client.key_secret"
_LITTLE_DISK: Final = 5 << 30
_LITTLE_MEMORY: Final = 2 << 30
_GPU_LIMIT_S: Final = 20.0
_ASK_GPU: Final = (
    "nvidia-smi",
    "--query-gpu=name,memory.total,driver_version",
    "--format=csv,noheader",
)


def check_ports(page_port: int) -> list[Finding]:
    """Whether the default ports are free: the analyzer's, and those of metrics and the page."""
    taken = [port for port in (5555, 5556) if not _free(port)]
    if taken:
        words = (
            f"{' and '.join(map(str, taken))} in use: an analyzer runs already, or another program"
        )
        found = [Finding("note", "ports", words, "serve --bind tcp://127.0.0.1:PORT, or end that")]
    else:
        found = [Finding("ok", "ports", "5555 and 5556 are free (trainers)")]
    for what, flag, first in (
        ("metrics", "serve --metrics", DEFAULT_METRICS_PORT),
        ("page", "page --bind", page_port),
    ):
        free = next((port for port in range(first, first + _TENTH) if _free(port)), None)
        if free is None:
            words = f"{first} to {first + _TENTH - 1} are all in use ({what})"
            found.append(Finding("problem", "ports", words, f"{flag} HOST:PORT"))
        else:
            found.append(Finding("ok", "ports", f"{free} is free ({what})"))
    return found


def check_keys(folder: Path | None) -> Finding:
    """Whether a folder of keys can be used by an analyzer, or by a trainer if it is one's."""
    if folder is None:
        remedy = "python -m analyzer_service keys DIR makes some, for trainers on other machines"
        return Finding("ok", "keys", "none asked for: this machine only (--keys DIR)", remedy)
    try:
        if not (folder / _SERVER_SECRET).exists() and (folder / _CLIENT_SECRET).exists():
            load_client_keys(folder)
            return Finding("ok", "keys", f"a trainer's, in {folder}")
        keys = load_server_keys(folder)
    except (ConfigurationError, OSError) as error:
        words, _, remedy = str(error).partition(": ")
        return Finding("problem", "keys", words, remedy or "chmod 700 it, as its user")
    return Finding("ok", "keys", f"{len(keys.authorized)} authorized, in {folder}")


def check_disk(output_dir: Path) -> Finding:
    """Whether results can be written: the folder, SQLite's log in it, and room."""
    made = [each for each in (output_dir, *output_dir.parents) if not each.exists()]
    try:
        folder = check_output_dir(output_dir)
        _try_sqlite(folder)
        free = shutil.disk_usage(folder).free
    except ConfigurationError as error:
        words, _, remedy = str(error).rpartition(": ")
        return Finding("problem", "disk", words, remedy)
    except (sqlite3.Error, OSError) as error:
        words = f"{output_dir}: SQLite cannot keep its log there ({error})"
        remedy = "make room there, or give a local disk with --output-dir"
        return Finding("problem", "disk", words, remedy)
    finally:
        for each in made:
            with suppress(OSError):  # was not made
                each.rmdir()
    words = f"{_gib(free)} free in {folder}"
    if free < parse_size(DEFAULT_LEAST_FREE, option="--least-free"):
        words += f", less than --least-free of serve ({DEFAULT_LEAST_FREE}): it would not be ready"
        return Finding("problem", "disk", words, "make room, or give another --output-dir")
    if free < _LITTLE_DISK:
        return Finding("note", "disk", words, "a long run keeps images and may need more")
    return Finding("ok", "disk", words)


def check_processors() -> Finding:
    """Processors, and what they let the analyzer do."""
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    words = f"{cores}; analyses take {default_workers()} worker(s) unless --workers says otherwise"
    if cores == 1:
        return Finding("note", "processors", words, "training and analysis will share one")
    return Finding("ok", "processors", words)


def check_memory() -> Finding:
    """Memory that is available now."""
    available = psutil.virtual_memory().available
    words = f"{_gib(available)} available"
    if available < _LITTLE_MEMORY:
        return Finding("note", "memory", words, "an analyzer takes about 0.5 GiB, the demo 1 GiB")
    return Finding("ok", "memory", words)


def check_gpu(command: tuple[str, ...] = _ASK_GPU) -> Finding:
    """GPUs, as the driver tells of them; torch is not asked."""
    if shutil.which(command[0]) is None:
        return Finding("ok", "GPU", "none (no nvidia-smi): training takes the CPU")
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_GPU_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        words = f"the driver does not answer: {error}"
        return Finding("problem", "GPU", words, "see dmesg; train with --no-cuda meanwhile")
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        words = f"nvidia-smi says: {said[0] if said else done.returncode}"
        remedy = "its driver and library must fit each other: reboot after an update"
        return Finding("problem", "GPU", words, remedy)
    return Finding("ok", "GPU", "; ".join(done.stdout.strip().splitlines()))


def check_wandb(environment: Mapping[str, str], home: Path) -> Finding:
    """Where W&B rows would go; the network is not asked."""
    mode = default_wandb_mode(environment, home)
    if environment.get("WANDB_MODE") == "online" and not has_wandb_key(environment, home):
        words = "offline: WANDB_MODE says online, and no key is configured"
        return Finding("problem", "W&B", words, "wandb login, or set WANDB_API_KEY")
    if mode == "offline":
        return Finding("ok", "W&B", "offline: no key is configured", "wandb login, to upload")
    return Finding("ok", "W&B", mode)


def _free(port: int) -> bool:
    try:
        socket.create_server((_HOST, port)).close()
    except OSError:
        return False
    return True


def _try_sqlite(folder: Path) -> None:
    """Write as a run does: some network file systems take files, but not SQLite's log."""
    with (
        tempfile.TemporaryDirectory(prefix=".sidelight-doctor-", dir=folder) as name,
        closing(sqlite3.connect(Path(name, "probe.sqlite"), isolation_level=None)) as writer,
    ):
        (mode,) = writer.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"journal mode is {mode}")
        writer.execute("CREATE TABLE probe (value)")
        writer.execute("INSERT INTO probe VALUES (1)")


def _gib(size: int) -> str:
    return f"{size / (1 << 30):.1f} GiB"
