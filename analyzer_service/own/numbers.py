"""What an analysis of the user's may return, and what its numbers are called in a row."""

import re
from collections.abc import Mapping
from itertools import islice
from numbers import Real
from typing import Any, Final

import numpy as np

from shared.errors import AnalysisError

PREFIX: Final = "own_"
"""Begins each name of an own number in a row, so that none can be taken for a built-in one."""

MOST_NAMES: Final = 256
LONGEST_NAME: Final = 128
_NAME: Final = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9_./-]{{0,{LONGEST_NAME - 1}}}")


def own_numbers(result: object) -> dict[str, float]:
    """The numbers of `result`, under the names that they have in a row.

    Parameters
    ----------
    result : object
        What ``custom_analysis`` returned: a mapping of at most `MOST_NAMES` names (letters,
        digits, ``_ . / -``, at most `LONGEST_NAME` of them) to real numbers. NaN is undefined,
        as numpy's ``masked``; an array or tensor of no dimension is a number.

    Raises
    ------
    AnalysisError
        If it is anything else; then none of it is taken.

    Examples
    --------
    >>> own_numbers({"loss": 1, "stroma_share": np.float32(0.25)})
    {'own_loss': 1.0, 'own_stroma_share': 0.25}
    """
    if not isinstance(result, Mapping):
        raise AnalysisError(
            f"expected a mapping of names to numbers, got {_a(type(result))}"
            + (" (is a return missing?)" if result is None else "")
        )
    items = list(islice(result.items(), MOST_NAMES + 1))
    if len(items) > MOST_NAMES:
        raise AnalysisError(f"expected at most {MOST_NAMES} numbers, got more")
    return {f"{PREFIX}{_checked(name)}": _number(name, value) for name, value in items}


def _checked(name: object) -> str:
    if not isinstance(name, str):
        raise AnalysisError(f"expected names as text, got {_a(type(name))}")
    if not _NAME.fullmatch(name):
        shown = name if len(name) <= 40 else f"{name[:40]}… ({len(name):,} characters)"
        raise AnalysisError(
            f"name {shown!r} must be letters, digits, '_', '.', '/' or '-', at most {LONGEST_NAME}"
        )
    return str.__str__(name)  # of a subclass (a text enum), what was checked and not what it shows


def _number(name: str, value: Any) -> float:
    if value is np.ma.masked:  # what a mean of nothing but masked values is; its item() is 0
        return float("nan")
    if not isinstance(value, Real | np.bool_) and getattr(value, "shape", None) == ():
        value = value.item()
    if not isinstance(value, Real | np.bool_):
        shape = getattr(value, "shape", None)
        what = _a(type(value)) if shape is None else f"{_a(type(value))} of shape {tuple(shape)}"
        raise AnalysisError(f"{name!r}: expected a real number, got {what}")
    try:
        return float(value)
    except OverflowError as error:
        raise AnalysisError(f"{name!r}: {error}") from error


def _a(kind: type) -> str:
    return "None" if kind is type(None) else f"a value of type {kind.__name__}"
