"""The state of rules as plain values, to be kept and taken up again exactly.

What changes in a rule are its dataclass fields with ``init=False``; the others come from the
settings.
"""

from dataclasses import fields, is_dataclass
from typing import Any

from analyzer_service.alerts.windows import Window


def dump(thing: Any) -> dict[str, Any]:
    """What changes in the dataclass `thing`, as numbers, words, lists and dicts.

    Examples
    --------
    >>> from analyzer_service.alerts.finite import NotFiniteRule
    >>> dump(NotFiniteRule(clear=20))
    {'_finite': 0, '_what': ''}
    """
    return {each.name: _plain(getattr(thing, each.name)) for each in _changing(thing)}


def restore(thing: Any, state: dict[str, Any]) -> None:
    """Give `thing`, made of the same settings, what `dump` said of another one.

    Raises
    ------
    KeyError
        If something of it is missing: another version dumped it.
    """
    for each in _changing(thing):
        setattr(thing, each.name, _taken(getattr(thing, each.name), state[each.name]))


def _changing(thing: Any) -> list[Any]:
    return [each for each in fields(thing) if not each.init]


def _plain(value: Any) -> Any:
    if isinstance(value, Window):
        return value.values()
    if is_dataclass(value):
        return dump(value)
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return dict(value) if isinstance(value, dict) else value


def _taken(now: Any, kept: Any) -> Any:
    if isinstance(now, Window):
        now.refill(kept)
        return now
    if is_dataclass(now):
        restore(now, kept)
        return now
    if isinstance(now, list):
        return [_taken(*pair) for pair in zip(now, kept, strict=True)]
    return tuple(kept) if isinstance(kept, list) else kept
