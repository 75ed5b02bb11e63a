"""Trains DAE-KAN on tissue, watched by an analyzer in another process.

``AnalysisEnabledMainModel`` (a LightningModule), ``SidecarCallback`` (for any other),
``Publisher`` (for a bare PyTorch loop) and ``Limits`` (what they may take) are imported when they
are asked for: what is not used costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trainer.capture.callback import SidecarCallback
    from trainer.limits import Limits
    from trainer.module import AnalysisEnabledMainModel
    from trainer.publish.publisher import Publisher

__all__ = ["AnalysisEnabledMainModel", "Limits", "Publisher", "SidecarCallback"]

_HOMES = {
    "AnalysisEnabledMainModel": "trainer.module",
    "Limits": "trainer.limits",
    "SidecarCallback": "trainer.capture.callback",
    "Publisher": "trainer.publish.publisher",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
