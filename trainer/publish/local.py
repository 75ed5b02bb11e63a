"""An analyzer of one's own: a second process at low priority, for one run."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from shared.errors import ConfigurationError

log = logging.getLogger(__name__)

_LOW_PRIORITY = 10
_TERMINATE_GRACE_S = 5.0
_LONGEST_ENDPOINT = 100


class LocalAnalyzer:
    """A running ``python -m analyzer_service serve --once``.

    Attributes
    ----------
    endpoint : str
        Where it listens (``ipc://…``, in a private folder).
    log_file : Path
        What it said.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", folder: Path, log_file: Path) -> None:
        self._process = process
        self._folder = folder
        self.endpoint = _endpoint(folder)
        self.log_file = log_file

    @classmethod
    def start(
        cls,
        output_dir: Path,
        *,
        project: str,
        log_file: Path,
        wandb: str | None = None,
    ) -> "LocalAnalyzer":
        """Start the process; it listens a few seconds later, and nobody waits for that.

        Raises
        ------
        ConfigurationError
            If the analyzer's packages are not installed.
        """
        folder = _socket_folder()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "analyzer_service", "serve", "--once"),
            *("--bind", _endpoint(folder), "--output-dir", str(output_dir)),
            *("--project-name", project, "--parent-pid", str(os.getpid())),
            *(() if wandb is None else ("--wandb", wandb)),
        ]
        with log_file.open("ab") as sink:
            # A session of its own: Ctrl-C reaches the trainer, which then ends the run.
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _lower_priority(process.pid)
        log.info("analyzer started as process %d; it writes to %s", process.pid, log_file)
        return cls(process, folder, log_file)

    def wait(self, timeout_s: float, on_wait: Callable[[], None] | None = None) -> int | None:
        """Exit code once it has ended, or None when it still works after `timeout_s`."""
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            try:
                code = self._process.wait(min(0.2, left_s))
            except subprocess.TimeoutExpired:
                if on_wait is not None:
                    on_wait()
            else:
                self._clean_up()
                return code
        return None

    def stop(self) -> None:
        """End it: it commits what it has; after 5 s it is killed."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_TERMINATE_GRACE_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._clean_up()

    @property
    def exit_code(self) -> int | None:
        """Exit code, or None while it runs."""
        return self._process.poll()

    def _clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def require_analyzer() -> None:
    """Raise `ConfigurationError` unless a local analyzer can be started."""
    from importlib.util import find_spec

    missing = [name for name in ("analyzer_service", "matplotlib", "scipy") if not find_spec(name)]
    if missing:
        raise ConfigurationError(
            f"a local analyzer needs {', '.join(missing)}: install sidelight[analyzer], or use "
            "--sidecar off"
        )


def _socket_folder() -> Path:
    """A private folder, whose name leaves a socket's path within what the system takes."""
    folder = Path(tempfile.mkdtemp(prefix="sidelight-"))
    if len(os.fsencode(_endpoint(folder))) <= _LONGEST_ENDPOINT:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix="sidelight-", dir="/tmp"))


def _endpoint(folder: Path) -> str:
    return f"ipc://{folder / 'analyzer'}"


def _lower_priority(pid: int) -> None:
    try:
        psutil.Process(pid).nice(_LOW_PRIORITY)
    except (psutil.Error, OSError) as error:
        log.warning("the analyzer keeps normal priority: %s", error)
