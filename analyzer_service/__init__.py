"""The analyzing side: receive, commit, analyze, draw, report."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analyzer_service.clinical import (
        create_pathologist_annotation_interface,
        generate_clinical_validation_report,
    )

__all__ = ["create_pathologist_annotation_interface", "generate_clinical_validation_report"]

_HOMES: Final = dict.fromkeys(__all__, "analyzer_service.clinical")


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: workers need none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
