"""The parent's side of one worker process."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

from analyzer_service.workers.calling import READY, Answer, pack_call, unpack_answer
from analyzer_service.workers.channel import Channel
from analyzer_service.workers.memory_files import MemoryFile
from analyzer_service.workers.protocol import Outcome
from shared.logs import FORMAT_VARIABLE, logs_json

_START_LIMIT_S: Final = 60.0
_STUCK_LIMIT_S: Final = 30.0
_ENVIRONMENT: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "NUMEXPR_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
    "MALLOC_ARENA_MAX": "1",
    # Memory of a tile's intermediates is kept for the next tile: at 256 x 256, giving it back and
    # mapping it anew takes as long as the analysis.
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
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
        near.settimeout(_STUCK_LIMIT_S)  # a stopped process must not hold its parent up for ever
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
        self._channel = Channel(near)
        self.pid = self._process.pid

    def wait_ready(self) -> None:
        """Wait until the process takes calls; raises `WorkerDiedError` if it never does."""
        try:
            if self._channel.poll(_START_LIMIT_S) and self._channel.receive().data == READY:
                return
        except (EOFError, OSError):
            pass
        raise WorkerDiedError(f"worker process did not start{self._exit_code()}")

    def run(
        self,
        call: Callable[..., Any],
        args: tuple[Any, ...],
        timeout_s: float,
        payload: bytes | MemoryFile | None = None,
    ) -> Answer:
        """Outcome of one call; the process must be thrown away after "timed_out".

        Raises
        ------
        WorkerDiedError
            When the process ends before its answer.
        """
        fd = payload.fd if isinstance(payload, MemoryFile) else None
        placed = payload.nbytes if isinstance(payload, MemoryFile) else payload
        try:
            packed = pack_call(call, args, placed)
        except Exception as error:
            text = f"call cannot be sent to a process: {error}"
            return Answer(Outcome("failed", error=text), unmapped=True)
        try:
            self._channel.send(packed, fd)
            if not self._channel.poll(timeout_s):
                text = f"TimeoutError: ran for more than {timeout_s} s"
                return Answer(Outcome("timed_out", error=text), unmapped=False)
            return unpack_answer(self._channel.receive().data)
        except (EOFError, OSError) as error:
            raise WorkerDiedError(f"worker process died{self._exit_code()}") from error

    def kill(self) -> None:
        """Kill the process; its `run` then raises."""
        if self._process.returncode is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def discard(self) -> None:
        """Kill the process, take its exit code, close the channel."""
        self.kill()
        self._process.wait()
        self._channel.close()

    def _exit_code(self) -> str:
        try:
            code = self._process.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            return ""
        return f" by signal {-code}" if code < 0 else f" with exit code {code}"


def _environment() -> dict[str, str]:
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    format_ = "json" if logs_json() else "text"
    return {**os.environ, **_ENVIRONMENT, "PYTHONPATH": path, FORMAT_VARIABLE: format_}
