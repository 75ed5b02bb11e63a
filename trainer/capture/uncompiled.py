"""What `torch.compile` must leave alone: hooks that run in the midst of what it compiles."""

from collections.abc import Callable
from typing import Any, TypeVar

import torch

Hook = TypeVar("Hook", bound=Callable[..., Any])


def skipped(hook: Hook) -> Hook:
    """Keep the compiler out of `hook` itself; functions that it calls must be `kept_out`.

    `kept_out` takes longer than a hook of ours, as it wraps it; this only marks its code.
    """
    try:
        from torch._dynamo.decorators import skip
    except ImportError:  # no public name: another version may have another one
        return kept_out(hook)
    marked: Hook = skip(hook)  # type: ignore[assignment, unused-ignore]
    return marked


def kept_out(function: Hook) -> Hook:
    """Keep the compiler out of `function` and of everything that it calls."""
    disabled: Hook = torch.compiler.disable(function)  # type: ignore[no-untyped-call]
    return disabled
