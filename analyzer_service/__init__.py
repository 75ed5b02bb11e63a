"""The analyzing side: receive, commit, analyze, draw, report."""

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analyzer_service.clinical import (
        create_pathologist_annotation_interface,
        generate_clinical_validation_report,
    )
    from analyzer_service.own.analyzer import AutomaticAnalyzer

__all__ = [
    "AutomaticAnalyzer",
    "create_pathologist_annotation_interface",
    "generate_clinical_validation_report",
]

_HOMES: Final = {
    "AutomaticAnalyzer": "analyzer_service.own.analyzer",
    "create_pathologist_annotation_interface": "analyzer_service.clinical",
    "generate_clinical_validation_report": "analyzer_service.clinical",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for: workers need none of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
