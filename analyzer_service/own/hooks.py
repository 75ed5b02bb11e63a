"""The methods that a subclass overrides, called with as many arguments as it takes."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from analyzer_service.own.numbers import own_numbers
from shared.errors import ConfigurationError
from shared.messages import BatchFrame

HOOKS: Final = ("custom_analysis", "custom_pathology_analysis")
"""The guide writes both names; a class may have either, or both."""


class Hooked(Protocol):
    """Something with the methods that `HOOKS` names."""

    def custom_analysis(self, batch_metrics: dict[str, Any], frame: BatchFrame) -> object:
        """See `analyzer_service.own.analyzer.AutomaticAnalyzer`."""
        ...


def run_hooks(analyzer: Hooked, row: Mapping[str, Any], frame: BatchFrame) -> dict[str, float]:
    """Own numbers of one batch, under their names in a row.

    Each hook gets a copy of `row`, so that what it changes stays its own.

    Raises
    ------
    AnalysisError
        If a hook returns no mapping of names to numbers.
    """
    found: dict[str, float] = {}
    for name in HOOKS:
        hook = getattr(analyzer, name)
        found |= own_numbers(_call(hook, dict(row), frame))
    return found


def check_hook(hook: Callable[..., Any]) -> None:
    """Raise `ConfigurationError` unless `hook` takes a batch's numbers, with its frame or without.

    One that is to be awaited is refused: nobody awaits it.
    """
    if inspect.iscoroutinefunction(hook):
        raise ConfigurationError(f"{hook.__name__} is async: make it a plain method")
    if _how_called(hook) is None:
        raise ConfigurationError(
            f"{hook.__name__}{inspect.signature(hook)} cannot be called with batch_metrics, "
            "or with batch_metrics and frame"
        )


def _call(hook: Callable[..., object], row: dict[str, Any], frame: BatchFrame) -> object:
    how = _how_called(hook)
    if how == "by name":
        return hook(row, frame=frame)
    return hook(row, frame) if how == "both" else hook(row)


def _how_called(hook: Callable[..., object]) -> str | None:
    signature = inspect.signature(hook)
    ways: dict[str, tuple[tuple[None, ...], dict[str, None]]] = {
        "both": ((None, None), {}),
        "by name": ((None,), {"frame": None}),
        "one": ((None,), {}),
    }
    for way, (given, named) in ways.items():
        try:
            signature.bind(*given, **named)
        except TypeError:
            continue
        return way
    return None
