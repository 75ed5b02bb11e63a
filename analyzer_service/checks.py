"""What ``/readyz`` says: each check by its name, and where it fails why, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of being ready; `why` is empty where it holds."""

    name: str
    why: str = ""
    to_do: str = ""

    @property
    def ok(self) -> bool:
        """Whether the condition holds."""
        return not self.why


def all_ok(checks: Sequence[Check]) -> bool:
    """Whether every condition holds."""
    return all(check.ok for check in checks)


def in_words(checks: Sequence[Check]) -> dict[str, Any]:
    """The answer, as JSON is made of it.

    Examples
    --------
    >>> in_words([Check("loop"), Check("disk", "1 MiB free", "delete old runs")])["checks"]["disk"]
    {'why': '1 MiB free', 'to do': 'delete old runs'}
    """
    said = {
        check.name: "ok" if check.ok else {"why": check.why, "to do": check.to_do}
        for check in checks
    }
    return {"status": "ready" if all_ok(checks) else "not ready", "checks": said}
