"""The analyzer's commands with another analysis, and analyses that misbehave.

``python -m tests.processes.other_analysis MODULE:FUNCTION serve …``
"""

import sys
import time
from typing import Any

from analyzer_service.analyses.frame import FrameResult, analyze_frame
from shared.messages import BatchFrame

SLOW_S = 0.1
EVERY = 10


def sleep_100_ms(frame: BatchFrame) -> FrameResult:
    """The real analysis, after 100 ms of nothing."""
    time.sleep(SLOW_S)
    return analyze_frame(frame)


def raise_now_and_then(frame: BatchFrame) -> FrameResult:
    """The real analysis; every tenth frame raises."""
    if frame.fseq % EVERY == 0:
        raise ValueError(f"frame {frame.fseq} cannot be analyzed")
    return analyze_frame(frame)


def never_return_now_and_then(frame: BatchFrame) -> FrameResult:
    """The real analysis; frame 10 hangs for ever."""
    while frame.fseq == EVERY:
        time.sleep(1.0)
    return analyze_frame(frame)


def main() -> None:
    """Act on the command line with the analysis that it names first."""
    analysis = sys.argv.pop(1)
    import analyzer_service.receive.serve as serving
    from analyzer_service.cli import main as analyzer
    from analyzer_service.pipeline.settings import Calls, PipelineSettings

    settings = serving.RunsSettings
    pipeline = PipelineSettings(calls=Calls(analyze=analysis), frame_timeout_s=3.0)

    def with_analysis(**given: Any) -> Any:
        return settings(**given, pipeline=pipeline)

    serving.RunsSettings = with_analysis  # type: ignore[assignment, misc]
    analyzer()


if __name__ == "__main__":
    main()
