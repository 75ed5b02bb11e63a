"""The analyzer's command line, with an analysis that takes 100 ms more for each frame."""

import time

from analyzer_service.analyses.frame import FrameResult, analyze_frame
from analyzer_service.analyses.tissue_facts import TissueFacts
from measure.other_analysis import serve_with
from shared.messages import BatchFrame


def analyze_slowly(frame: BatchFrame, tissue: TissueFacts) -> FrameResult:
    """`analyze_frame`, after 100 ms of doing nothing."""
    time.sleep(0.1)
    return analyze_frame(frame, tissue)


if __name__ == "__main__":
    serve_with("measure.slow_analyzer:analyze_slowly")
