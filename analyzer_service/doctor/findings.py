"""What a check found, in words."""

import textwrap
from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "note", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor.

    Attributes
    ----------
    level : str
        ``ok``; ``note``: it works without, or with less; ``problem``: something will fail.
    what : str
        What was looked at, in a word or two.
    words : str
        What was found.
    remedy : str
        What to do; empty where there is nothing to do.
    """

    level: Level
    what: str
    words: str
    remedy: str = ""

    def lines(self, width: int | None = None) -> list[str]:
        """The finding as people read it, in lines of `width` characters if that is given."""
        mark = {"ok": "ok", "note": "note", "problem": "PROBLEM"}[self.level]
        lines = _wrapped(f"{mark:<8} {self.what:<14} ", self.words, width)
        return lines + (_wrapped(f"{'':<24}→ ", self.remedy, width) if self.remedy else [])


def _wrapped(head: str, words: str, width: int | None) -> list[str]:
    if width is None:
        return [head + words]
    return textwrap.wrap(
        words,
        max(width, 2 * len(head)),
        initial_indent=head,
        subsequent_indent=" " * len(head),
        break_long_words=False,  # a path or a command stays whole, to be copied
        break_on_hyphens=False,
    )
