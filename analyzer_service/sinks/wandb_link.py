"""The analyzer's end of the process that runs wandb: start it, ask it, kill it."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import psutil

from analyzer_service.sinks.children import wandb_environment
from shared.errors import SinkError

_SLICE_S: Final = 0.1
_REAP_S: Final = 1.0
_COMMAND: Final = (sys.executable, "-P", "-m", "analyzer_service.sinks.wandb_child")
LOG_NAME: Final = "sidelight.log"


class Link:
    """A child process and the socket to it; one request at a time.

    The child has its own session, so that an interrupt at the terminal reaches the analyzer
    only. What wandb prints goes to ``wandb/sidelight.log`` in the run's folder.
    """

    def __init__(self, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        (folder / "wandb").mkdir(exist_ok=True)
        with theirs, (folder / "wandb" / LOG_NAME).open("ab") as log:
            self._process = subprocess.Popen(
                [*_COMMAND, str(theirs.fileno()), str(folder.resolve())],
                cwd=folder,
                env=wandb_environment(),
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._socket = ours
        self._socket.settimeout(_SLICE_S)
        self._unread = b""
        self._others: dict[int, psutil.Process] = {}

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    def ask(self, request: dict[str, Any], *, until: Callable[[], float]) -> dict[str, Any]:
        """Send a request and wait for its reply.

        Parameters
        ----------
        request : dict
            What `wandb_child.Child.answer` takes.
        until : callable
            When to stop waiting, by ``time.monotonic()``; asked again while waiting.

        Raises
        ------
        SinkError
            If the child is gone, does not answer in time, or answers with an error.
        """
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            reply: dict[str, Any] = json.loads(self._line(until))
        except OSError as error:
            raise SinkError(f"the W&B process is gone ({error})") from error
        self._remember()
        if "error" in reply:
            raise SinkError(reply["error"])
        return reply

    def close(self, timeout_s: float) -> bool:
        """Let the child end by itself, kill what is left after `timeout_s`; see `kill`."""
        self._remember()
        self._socket.close()
        _wait([*self._known()], timeout_s)
        return self.kill(0.0)

    def kill(self, grace_s: float) -> bool:
        """Kill the child now and, after `grace_s`, what it had started.

        wandb's own process ends by itself some time after its parent, and until then writes to
        disk what it holds; it gets `grace_s` for that. Returns whether it did: False when it was
        dead before, or had to be killed.
        """
        self._remember()
        lived = all(map(_lives, self._others.values()))
        self._process.kill()
        self._socket.close()
        others = _wait(list(self._others.values()), grace_s)
        for process in others:
            _quietly(process.kill)
        _wait(others, _REAP_S)
        self._process.wait(_REAP_S)
        return lived and not others

    def _line(self, until: Callable[[], float]) -> bytes:
        while b"\n" not in self._unread:
            if time.monotonic() >= until():
                raise SinkError("the W&B process did not answer in time")
            try:
                part = self._socket.recv(1 << 16)
            except TimeoutError:
                continue
            if not part:
                raise SinkError("the W&B process ended")
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _known(self) -> list[psutil.Process]:
        own = _quietly(lambda: psutil.Process(self.pid))
        return [*([own] if own else []), *self._others.values()]

    def _remember(self) -> None:
        children = _quietly(lambda: psutil.Process(self.pid).children(recursive=True))
        self._others |= {process.pid: process for process in children or []}


def _wait(processes: list[psutil.Process], timeout_s: float) -> list[psutil.Process]:
    """Wait for processes; return those that are still there."""
    alive: list[psutil.Process] = psutil.wait_procs(processes, timeout=timeout_s)[1]
    return alive


def _lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and _quietly(process.status) != psutil.STATUS_ZOMBIE)


def _quietly(call: Callable[[], Any]) -> Any:
    """Result of `call`, or None if the process that it asks about is gone."""
    try:
        return call()
    except psutil.Error:
        return None
