"""One run from arriving messages to finished files."""

from analyzer_service.commit.producers import Origin
from analyzer_service.pipeline.committed import Committed
from analyzer_service.pipeline.run import RunPipeline
from analyzer_service.pipeline.settings import Calls, PipelineSettings

__all__ = ["Calls", "Committed", "Origin", "PipelineSettings", "RunPipeline"]
