"""The process that runs wandb, so that nothing that wandb does can delay the analyzer.

``python -m analyzer_service.sinks.wandb_child FD`` answers requests on a socket, one JSON line
each way: `start`, `advance` (log what comes after a position) and `finish`. It reads the run's
folder itself. It is started anew, never forked, and may be killed at any moment.
"""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from analyzer_service.commit.reader import RunReader
from analyzer_service.sinks.wandb_feed import Position, next_portion
from analyzer_service.sinks.wandb_run import LiveRun
from analyzer_service.sinks.wandb_summary import final_summary

ORPHAN_GRACE_S: Final = 15.0
_PARENT_POLL_S: Final = 1.0


class Child:
    """One W&B run, told what to do by requests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._run: LiveRun | None = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Reply to one request; an error is a reply with `error` in it."""
        actions: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "start": self._start,
            "advance": self._advance,
            "finish": self._finish,
        }
        try:
            return actions[request["do"]](request)
        except BaseException as error:  # wandb raises what it likes; the parent decides
            return {"error": f"{type(error).__name__}: {error}"}

    def end(self) -> None:
        """The analyzer is gone: close the run as it stands."""
        if self._run is not None:
            self._run.finish({}, exit_code=1)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        with RunReader(self._folder) as reader:
            started, own = reader.started(), reader.own_analyzers()
        self._run = LiveRun.start(
            self._folder,
            started,
            mode=request["mode"],
            project=request["project"],
            timeout_s=request["timeout_s"],
            own=own,
        )
        return {"directory": self._run.directory, "url": self._run.url}

    def _advance(self, request: dict[str, Any]) -> dict[str, Any]:
        with RunReader(self._folder) as reader:
            portion = next_portion(reader, Position.of(request["position"]))
        missing = sum(self._live.log(entry) for entry in portion.entries)
        for alert in portion.alerts:
            self._live.alert(alert)
        if portion.entries or portion.alerts:
            self._live.settle()
        return {
            "position": asdict(portion.position),
            "more": portion.more,
            "missing": missing,
        }

    def _finish(self, request: dict[str, Any]) -> dict[str, Any]:
        with RunReader(self._folder) as reader:
            summary = final_summary(reader, request["summary"])
        failed = summary["summary/status"] == "failed"
        self._live.finish(summary, exit_code=int(failed))
        self._run = None
        return {}

    @property
    def _live(self) -> LiveRun:
        if self._run is None:
            raise RuntimeError("no W&B run was started")
        return self._run


def serve(link: socket.socket, child: Child) -> None:
    """Answer requests until the other side closes."""
    with link, link.makefile("rw", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            print(json.dumps(child.answer(json.loads(line))), file=lines, flush=True)
    child.end()


def _watch_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(_PARENT_POLL_S)
    time.sleep(ORPHAN_GRACE_S)
    os._exit(1)


def main(arguments: list[str]) -> None:
    """Serve the socket whose number is the first argument, for the folder that is the second."""
    threading.Thread(target=_watch_parent, name="watch-parent", daemon=True).start()
    serve(socket.socket(fileno=int(arguments[0])), Child(Path(arguments[1])))


if __name__ == "__main__":
    main(sys.argv[1:])
