"""The page's server as a process of its own, as users start it."""

import re
import subprocess
import time
from pathlib import Path

from tests.processes.commands import start

LIMIT_S = 30.0


class Served:
    """``python -m analyzer_service page`` at a free port; `url` is where it says it is."""

    def __init__(self, output_dir: Path, *options: str, log: Path) -> None:
        bind = () if "--bind" in options else ("--bind", "127.0.0.1:0")
        command = ("analyzer_service", "page", "--output-dir", output_dir, *bind, *options)
        self.process: subprocess.Popen[bytes] = start(*command, cwd=output_dir, log=log)
        self.url = said(r"page at (http://\S+)", log, self.process)

    def close(self) -> None:
        """Ask it to end, and wait for that."""
        self.process.terminate()
        self.process.wait(LIMIT_S)


def said(pattern: str, log: Path, process: "subprocess.Popen[bytes]") -> str:
    """What a process says in its log; waits for it as long as it lives."""
    until = time.monotonic() + LIMIT_S
    while (found := re.search(pattern, log.read_text())) is None:
        assert process.poll() is None, f"it has ended\n{log.read_text()}"
        assert time.monotonic() < until, f"it does not answer\n{log.read_text()}"
        time.sleep(0.02)
    return found[1]
