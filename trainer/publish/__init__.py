"""Hand a batch over in microseconds; deliver it from another thread."""

from trainer.publish.contract import BatchKeys, Capture, CaptureLost, FrameArrays
from trainer.publish.publisher import Publisher, PublishOutcome
from trainer.publish.sender import Progress
from trainer.publish.settings import PublishSettings

__all__ = [
    "BatchKeys",
    "Capture",
    "CaptureLost",
    "FrameArrays",
    "Progress",
    "PublishOutcome",
    "PublishSettings",
    "Publisher",
]
