"""What a check found, in words."""

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

    def lines(self) -> list[str]:
        """The finding as people read it."""
        mark = {"ok": "ok", "note": "note", "problem": "PROBLEM"}[self.level]
        lines = [f"{mark:<8} {self.what:<14} {self.words}"]
        return [*lines, f"{'':<23} → {self.remedy}"] if self.remedy else lines
