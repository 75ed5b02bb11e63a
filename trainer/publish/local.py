"""An analyzer of one's own: a second process at low priority, for one run."""

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from shared.errors import ConfigurationError
from trainer.asking import check_own, with_our_modules

log = logging.getLogger(__name__)

_LOW_PRIORITY = 10
_TERMINATE_GRACE_S = 5.0
# Done, or its settings cannot be used: starting it again would change nothing.
_ENDED_ON_PURPOSE = (0, 2)
_MOST_RESTARTS = 5
_RESTART_AFTER_S = 0.5
_LONGEST_ENDPOINT = 100
# People read this log when something went wrong; what is asked for goes before it.
_LOGGING = {"SIDELIGHT_LOG_FORMAT": "text"}


class LocalAnalyzer:
    """A running ``python -m analyzer_service serve --once``.

    One that dies is started again, a few times: it takes the run up from its store, and the
    publisher sends what it does not hold. Made by `start`.

    Attributes
    ----------
    endpoint : str
        Where it listens (``ipc://…``, in a private folder).
    log_file : Path
        What it said.
    """

    def __init__(
        self,
        command: list[str],
        folder: Path,
        log_file: Path,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._command = command
        self._environment = environment
        self._folder = folder
        self.endpoint = _endpoint(folder)
        self.log_file = log_file
        self._lock = threading.Lock()
        self._restarts = 0
        self._may_restart = threading.Event()
        self._may_restart.set()
        self._leave = threading.Event()
        self._over = threading.Event()
        self._process = self._launch()
        threading.Thread(target=self._watch, name="sidelight-analyzer", daemon=True).start()

    @classmethod
    def start(
        cls,
        output_dir: Path,
        *,
        project: str,
        log_file: Path,
        wandb: str | None = None,
        analyzer: str | None = None,
    ) -> "LocalAnalyzer":
        """Start the process; it listens a few seconds later, and nobody waits for that.

        An own `analyzer` (``module:Class``, or what the environment names) is looked at first: the
        process would end at once if it cannot be used.

        Raises
        ------
        ConfigurationError
            If the analyzer's packages are not installed, or the own one cannot be used.
        """
        own = check_own(analyzer)
        folder = _socket_folder()
        log_file.parent.mkdir(parents=True, exist_ok=True)
        command = [
            *(sys.executable, "-m", "analyzer_service", "serve", "--once"),
            *("--bind", _endpoint(folder), "--output-dir", str(output_dir)),
            *("--project-name", project, "--parent-pid", str(os.getpid())),
            *(() if wandb is None else ("--wandb", wandb)),
            *(() if own is None else ("--analyzer", own)),
        ]
        started = cls(command, folder, log_file, None if own is None else with_our_modules())
        log.info("analyzer started as process %d; it writes to %s", started.pid, log_file)
        return started

    @property
    def pid(self) -> int:
        """Number of its present process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Exit code once it has ended for good, or None."""
        return self._process.returncode if self._over.is_set() else None

    def wait(self, timeout_s: float, on_wait: Callable[[], None] | None = None) -> int | None:
        """Exit code once it has ended, or None when it still works after `timeout_s`.

        One that dies from now on is not started again: nobody would send it anything.
        """
        self._may_restart.clear()
        deadline_s = time.monotonic() + timeout_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            if self._over.wait(min(0.2, left_s)):
                self._clean_up()
                return self.exit_code
            if on_wait is not None:
                on_wait()
        return None

    def stop(self) -> None:
        """End it: it commits what it has; after 5 s it is killed.

        One that a disk holds up does not die before that answers: nobody waits for it.
        """
        with self._lock:
            self._may_restart.clear()
            self._leave.set()
            self._process.terminate()
        if not self._over.wait(_TERMINATE_GRACE_S):
            self._process.kill()
            if not self._over.wait(_TERMINATE_GRACE_S):
                log.warning("the analyzer (process %d) cannot be ended now", self.pid)
        self._clean_up()

    def _watch(self) -> None:
        """Wait for its end, and start it again if that was no regular one (own thread)."""
        try:
            while self._again(self._process.wait()):
                pass
        finally:
            self._over.set()

    def _again(self, code: int) -> bool:
        if code in _ENDED_ON_PURPOSE or self._restarts >= _MOST_RESTARTS:
            return False
        self._leave.wait(_RESTART_AFTER_S * 2**self._restarts)
        with self._lock:
            if not self._may_restart.is_set():
                return False
            self._restarts += 1
            log.warning(
                "the analyzer died (exit code %d, see %s); it is started again, training goes on",
                *(code, self.log_file),
            )
            self._process = self._launch()
        return True

    def _launch(self) -> "subprocess.Popen[bytes]":
        with self.log_file.open("ab") as sink:
            # A session of its own: Ctrl-C reaches the trainer, which then ends the run.
            process = subprocess.Popen(
                self._command,
                env=_LOGGING | (os.environ if self._environment is None else self._environment),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _lower_priority(process.pid)
        return process

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
