"""What was set differently between runs."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from analyzer_service.figures.wording import shorten
from shared.messages import RunStarted

_LONGEST: Final = 60
_OWN: Final = (
    *("type", "run_id", "run_name", "producer", "incarnation"),
    *("resumed_from_step", "started_at_ns", "config"),
)
"""What tells one run from another whatever its settings, and the configuration itself."""


def differing(starts: Sequence[RunStarted]) -> tuple[dict[str, list[str]], int]:
    """Settings whose values are not the same in all runs, and how many are.

    Parameters
    ----------
    starts : sequence of RunStarted
        Of each run the latest start.

    Returns
    -------
    tuple of dict and int
        Of each setting that differs the value in each run, "–" where it has none.

    Examples
    --------
    >>> a = RunStarted(run_id="a", run_name="a", producer="rank0", started_at_ns=0,
    ...                config={"lr": 0.001, "model": {"depth": 3}})
    >>> b = a.model_copy(update={"config": {"lr": 0.01, "model": {"depth": 3}}})
    >>> differing([a, b])[0]
    {'config.lr': ['0.001', '0.01']}
    """
    settings = [dict(_flat("", _said(start))) for start in starts]
    names = list(dict.fromkeys(name for each in settings for name in each))
    values = {name: [each.get(name, "–") for each in settings] for name in names}
    differ = {name: found for name, found in values.items() if len(set(found)) > 1}
    shown = {name: [_short(text) for text in found] for name, found in differ.items()}
    return shown, len(values) - len(differ)


def _said(start: RunStarted) -> dict[str, Any]:
    said = start.model_dump(mode="json", exclude=set(_OWN))
    said["layers"] = [f"{layer.name} ({layer.kind})" for layer in start.layers]
    config = {name: value for name, value in start.config.items() if name != "run_name"}
    return said | {"config": config}


def _flat(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, part in sorted(value.items(), key=lambda item: str(item[0])):
            yield from _flat(f"{path}.{name}" if path else str(name), part)
    else:
        yield path, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None else json.dumps(value, default=str)


def _short(text: str) -> str:
    return shorten(" ".join(text.split()), lambda part: len(part) <= _LONGEST)
