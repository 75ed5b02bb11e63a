"""The analyzer's command line, with an analysis that does nothing: for the way there alone."""

from analyzer_service.analyses.frame import FrameResult
from analyzer_service.analyses.tissue_facts import TissueFacts
from measure.other_analysis import serve_with
from shared.messages import BatchFrame


def analyze_nothing(frame: BatchFrame, _tissue: TissueFacts) -> FrameResult:
    """No metrics of a frame that was decoded."""
    return FrameResult({"samples": float(len(frame.samples))}, [{} for _ in frame.samples])


if __name__ == "__main__":
    serve_with("measure.idle_analyzer:analyze_nothing")
