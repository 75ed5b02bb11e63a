"""What a publisher says of itself while it works."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from shared.messages import Stream, Totals


@dataclass(frozen=True)
class Progress:
    """A snapshot that the sender thread took: its books and what is not acknowledged."""

    totals: Mapping[Stream, Totals] = field(default_factory=dict)
    records_unacked: int = 0
    connected: bool = False
    ever_connected: bool = False
    refusal: str | None = None
    records_lost: int = 0
    capture_failures: int = 0
    journal: Path | None = None
    run_folder: str | None = None
