"""What a run counts, and a checkpoint carries over."""

import secrets
import time
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from shared.messages import Phase


def _new_run_id() -> str:
    return secrets.token_hex(8)


def _new_run_name() -> str:
    return f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(2)}"


@dataclass
class RunCounters:
    """Identity and position of a run.

    Attributes
    ----------
    run_id, run_name : str
        The same for every start of the run.
    incarnation : int
        Number of the latest start; it grows with each.
    global_step : int
        Batches trained since the run began.
    val_step : int
        Validation batches since the run began.
    """

    run_id: str = field(default_factory=_new_run_id)
    run_name: str = field(default_factory=_new_run_name)
    incarnation: int = 0
    global_step: int = 0
    val_step: int = 0

    def start(self) -> int | None:
        """Number a start; returns the step to resume from, or None for a new run.

        The first start is 1. A resume takes its Unix second, so that two resumes of one
        checkpoint are different incarnations and the later one counts.
        """
        resumed = self.incarnation > 0
        self.incarnation = max(self.incarnation + 1, int(time.time())) if resumed else 1
        return self.global_step if self.incarnation > 1 else None

    @property
    def identity(self) -> tuple[str, str, int]:
        """Run id, run name and incarnation: what all ranks of a start have in common."""
        return self.run_id, self.run_name, self.incarnation

    def take_identity(self, identity: tuple[str, str, int]) -> None:
        """Be the same start of the same run as another rank."""
        self.run_id, self.run_name, self.incarnation = identity

    def count(self, phase: Phase) -> int:
        """Count a batch; returns its number within `phase`, from 1."""
        if phase == "train":
            self.global_step += 1
            return self.global_step
        self.val_step += 1
        return self.val_step

    def state_dict(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return asdict(self)

    @classmethod
    def of_state(cls, state: dict[str, Any]) -> "RunCounters":
        """Counters of a checkpoint; what it does not know keeps its default."""
        known = {entry.name for entry in fields(cls)}
        return cls(**{name: value for name, value in state.items() if name in known})
