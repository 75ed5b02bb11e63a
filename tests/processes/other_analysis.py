"""The analyzer's commands with another analysis, and analyses that misbehave.

``python -m tests.processes.other_analysis MODULE:FUNCTION serve …``
"""

import gc
import os
import resource
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from analyzer_service.analyses.frame import FrameResult, analyze_frame
from analyzer_service.analyses.tissue_facts import TissueFacts
from shared.messages import BatchFrame

SLOW_S = 0.1
# Long enough for a worker that is started again, and imports everything, on a busy machine.
FRAME_TIMEOUT_S = 8.0
FIGURES = Path("figures.txt")
_COUNT_EACH_S = 5.0
_counted_s = 0.0


def sleep_100_ms(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """The real analysis, after 100 ms of nothing."""
    time.sleep(SLOW_S)
    return analyze_frame(frame, tissue)


def hang(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """Never through with any frame."""
    never_return()
    return analyze_frame(frame, tissue)


def glance_for_100_ms(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """As long for each frame, whatever its size and the machine: only a corner is analyzed."""
    time.sleep(SLOW_S)
    corners = {name: getattr(frame, name)[:, :32, :32] for name in ("input", "reconstruction")}
    return analyze_frame(frame.model_copy(update=corners), tissue)


def fail_in_every_way(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """The real analysis, but for one frame of ten: see `FAILURES`."""
    FAILURES.get(frame.fseq, lambda: None)()
    return analyze_frame(frame, tissue)


def count_figures(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """The real analysis; every few seconds it writes down how many figures this process has."""
    from matplotlib.figure import Figure  # the other analyses start sooner without it

    global _counted_s
    if time.monotonic() > _counted_s + _COUNT_EACH_S:
        _counted_s = time.monotonic()
        alive = sum(type(found) is Figure for found in gc.get_objects())
        with FIGURES.open("a") as file:
            file.write(f"{alive}\n")
    return analyze_frame(frame, tissue)


def raise_error() -> None:
    """What a mistake in an analysis comes to."""
    raise ValueError("this frame cannot be analyzed")


def eat_memory() -> None:
    """Take memory until there is no more: 256 MiB, here."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + (256 << 20)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (most, before[1]))
    try:
        _ = [bytes(1 << 20) for _ in range(1 << 20)]
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def end_process() -> None:
    """What some libraries do on an error."""
    os._exit(3)


def crash() -> None:
    """A segmentation fault."""
    os.kill(os.getpid(), signal.SIGSEGV)


def never_return() -> None:
    """Hang."""
    while True:
        time.sleep(1.0)


FAILURES = {10: raise_error, 20: eat_memory, 30: end_process, 40: crash, 50: never_return}


def main() -> None:
    """Act on the command line with the analysis that it names first."""
    analysis = sys.argv.pop(1)
    import analyzer_service.receive.serve as serving
    from analyzer_service.cli import main as analyzer
    from analyzer_service.pipeline.settings import Calls

    settings = serving.RunsSettings
    calls = Calls(analyze=analysis)

    def with_analysis(**given: Any) -> Any:
        pipeline = replace(given["pipeline"], calls=calls, frame_timeout_s=FRAME_TIMEOUT_S)
        return settings(**given | {"pipeline": pipeline})

    serving.RunsSettings = with_analysis  # type: ignore[assignment, misc]
    analyzer()


if __name__ == "__main__":
    main()
