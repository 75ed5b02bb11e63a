"""Hand a batch over in microseconds; deliver it from another thread.

The names are loaded on first use: with the sidecar off nothing of this may import ZeroMQ,
msgpack or mcap.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.publish.contract import BatchKeys, Capture, CaptureLost, FrameArrays
    from trainer.publish.outcome import PublishOutcome
    from trainer.publish.progress import Progress
    from trainer.publish.publisher import Publisher
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

_HOMES = {
    "Progress": "progress",
    "PublishOutcome": "outcome",
    "PublishSettings": "settings",
    "Publisher": "publisher",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'contract')}"), name)
