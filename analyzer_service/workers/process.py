"""The parent's side of one worker process."""

import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, Final

from analyzer_service.workers.protocol import READY, Outcome

_START_LIMIT_S: Final = 60.0
_STUCK_LIMIT_S: Final = 30
_ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "MALLOC_ARENA_MAX": "1",
    "MPLBACKEND": "Agg",
}


class WorkerDiedError(Exception):
    """The process ended, or was killed, before it gave a result."""


class WorkerProcess:
    """One process with one math thread that runs one call at a time.

    It is started afresh, not forked and not through the user's main module, so it holds no
    socket, lock or thread of its parent. `kill` may come from any thread; the rest is for one.
    """

    def __init__(self) -> None:
        near, far = socket.socketpair()
        # A stopped process must not hold its parent up for ever.
        limit = struct.pack("ll", _STUCK_LIMIT_S, 0)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        near.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        try:
            self._process = subprocess.Popen(
                # -P: the folder that the user stands in must not hide a module of ours.
                [sys.executable, "-P", "-m", "analyzer_service.workers.child", str(far.fileno())],
                pass_fds=[far.fileno()],
                stdin=subprocess.DEVNULL,
                env=_environment(),
            )
        except BaseException:
            near.close()
            raise
        finally:
            far.close()
        self._connection = Connection(near.detach())
        self.pid = self._process.pid

    def wait_ready(self) -> None:
        """Wait until the process takes calls; raises `WorkerDiedError` if it never does."""
        try:
            if self._connection.poll(_START_LIMIT_S) and self._connection.recv_bytes() == READY:
                return
        except (EOFError, OSError):
            pass
        raise WorkerDiedError(f"worker process did not start{self._exit_code()}")

    def run(
        self, call: Callable[..., Any], args: tuple[Any, ...], timeout_s: float
    ) -> Outcome[Any]:
        """Outcome of one call; the process must be thrown away after "timed_out".

        Raises
        ------
        WorkerDiedError
            When the process ends before its answer.
        """
        try:
            pickled = pickle.dumps((call, args), protocol=5)
        except Exception as error:
            return Outcome("failed", error=f"call cannot be sent to a process: {error}")
        try:
            self._connection.send_bytes(pickled)
            if not self._connection.poll(timeout_s):
                return Outcome("timed_out", error=f"TimeoutError: ran for more than {timeout_s} s")
            outcome: Outcome[Any] = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerDiedError(f"worker process died{self._exit_code()}") from error
        return outcome

    def kill(self) -> None:
        """Kill the process; its `run` then raises."""
        if self._process.returncode is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def discard(self) -> None:
        """Kill the process, take its exit code, close the connection."""
        self.kill()
        self._process.wait()
        self._connection.close()

    def _exit_code(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return ""
        return f" by signal {-code}" if code < 0 else f" with exit code {code}"


def _environment() -> dict[str, str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path}
