"""What came of logging to W&B, in numbers and in words."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Mode = Literal["online", "offline", "disabled"]
WandbState = Literal["online", "offline", "disabled", "given_up"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How far W&B has been told about a run so far."""

    state: WandbState
    rows: int = 0
    images: int = 0


@dataclass(frozen=True)
class WandbOutcome:
    """How far W&B was told about a run.

    Attributes
    ----------
    mode : str
        What was asked for.
    logged_to : str
        Where the run went in the end: "online" falls back to "offline".
    complete : bool
        Whether every row, dashboard and the summary were logged, and uploaded if online.
    rows, images : int
        Rows and dashboards that were handed over.
    rows_left, images_left : int
        Those that were not.
    directories : tuple of Path
        W&B's folders of the run, oldest first.
    url : str or None
        Where the run is seen.
    note : str or None
        What went wrong, if anything did.
    """

    mode: Mode
    logged_to: Mode
    complete: bool
    rows: int = 0
    images: int = 0
    rows_left: int = 0
    images_left: int = 0
    directories: tuple[Path, ...] = ()
    url: str | None = None
    note: str | None = None

    @property
    def sync_command(self) -> str | None:
        """Command that uploads what is not online yet; None when there is nothing to do."""
        if not self.directories or (self.logged_to == "online" and self.complete):
            return None
        return shlex.join(["wandb", "sync", *map(str, self.directories)])

    def __str__(self) -> str:
        if self.mode == "disabled":
            return "W&B: disabled"
        done = f"{self.rows} rows and {self.images} dashboards logged {self.logged_to}"
        if self.rows_left or self.images_left:
            done += f", {self.rows_left} rows and {self.images_left} dashboards not"
        elif not self.complete:
            done += ", not closed properly"
        sync = self.sync_command
        parts = [done, self.url, self.note, f"to upload: {sync}" if sync else None]
        return "W&B: " + "; ".join(part for part in parts if part)
