"""What a run's files say of its settings, as a message can hold it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from shared.errors import ContractError
from shared.header import MAX_HEADER_BYTES, pack_header
from shared.texts import readable

_MOST_BYTES: Final = MAX_HEADER_BYTES // 2
_MOST_DEPTH: Final = 8


@dataclass(frozen=True)
class _Cut:
    """Most characters of a text, and most items of a list or a mapping inside."""

    characters: int
    items: int


_CUTS: Final = (_Cut(10_000, 1_000), _Cut(1_000, 100), _Cut(100, 10))


def plain(config: Mapping[str, Any]) -> dict[str, Any]:
    """`config` as JSON values within the limits of a message; what is too large is cut.

    What is no JSON value becomes text. Texts end after 10,000 characters, lists after 1,000
    items, and nesting after 8 levels; after fewer where all of it is more than half a MiB.

    Examples
    --------
    >>> plain({"rate": 0.1, "sizes": (1, 2), "kind": int})
    {'rate': 0.1, 'sizes': [1, 2], 'kind': "<class 'int'>"}
    """
    for cut in _CUTS:
        made = {_text(name, cut): _plain(value, cut, 1) for name, value in config.items()}
        if _fits(made):
            return made
    return {"settings": f"{len(config)} of them, too large to be kept"}


def _fits(made: dict[str, Any]) -> bool:
    try:
        return len(pack_header(made, [])) <= _MOST_BYTES
    except ContractError:
        return False


def _plain(value: Any, cut: _Cut, depth: int) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    try:
        return _inside(value, cut, depth)
    except Exception:  # an object of the user's, which may do anything
        return f"<{type(value).__name__}>"


def _inside(value: Any, cut: _Cut, depth: int) -> Any:
    if isinstance(value, Mapping) and depth < _MOST_DEPTH:
        items = list(value.items())[: cut.items]
        return {_text(name, cut): _plain(item, cut, depth + 1) for name, item in items}
    if isinstance(value, (list, tuple, set, frozenset)) and depth < _MOST_DEPTH:
        return [_plain(item, cut, depth + 1) for item in list(value)[: cut.items]]
    return _text(value, cut)


def _text(value: Any, cut: _Cut) -> str:
    return readable(str(value), cut.characters)
