"""What a commit made safe."""

from dataclasses import dataclass, field

from analyzer_service.commit.producers import Origin
from analyzer_service.commit.views import AlertRecord


@dataclass(frozen=True, slots=True)
class Committed:
    """What a commit made safe, for the producers to hear.

    Attributes
    ----------
    acked : dict
        By origin, the cseq up to which every record is committed.
    delivered : dict
        By origin and stream, the frames that need not be sent again.
    credit : dict
        By origin, bytes of frames that this process no longer holds.
    alerts : tuple of AlertRecord
        Those that fired.
    """

    acked: dict[Origin, int] = field(default_factory=dict)
    delivered: dict[Origin, dict[str, list[int]]] = field(default_factory=dict)
    credit: dict[Origin, int] = field(default_factory=dict)
    alerts: tuple[AlertRecord, ...] = ()
