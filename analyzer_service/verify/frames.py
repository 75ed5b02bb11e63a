"""The books of a stream of frames, recounted from what was said and what is there."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from analyzer_service.commit.books import UNDECODABLE
from analyzer_service.verify.findings import size, without
from shared.messages import BatchMetrics, CriticalMessage, DropNotice, RunEnded, Totals
from shared.sequences import Range, RangeSet

_LAST_FSEQ: Final = 2**32 - 1


@dataclass
class FrameFacts:
    """Frames of one stream of one start of a producer, by number.

    `dropped` holds, by reason, what drop notices name; `spoiled` came and could not be read.
    """

    offered: RangeSet = field(default_factory=RangeSet)
    arrived: RangeSet = field(default_factory=RangeSet)
    spoiled: RangeSet = field(default_factory=RangeSet)
    dropped: dict[str, RangeSet] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """Highest number that is known to have been offered."""
        return self.offered.ranges[-1][1] if self.offered else 0

    def offer_all(self, last: int) -> None:
        """Numbers are given as frames are offered: all up to `last` were."""
        if last:
            self.offered.add(1, last)

    @property
    def unexplained(self) -> list[Range]:
        """Offered, and neither there nor dropped by name."""
        return self._sort()[2]

    @property
    def totals(self) -> Totals:
        """The books; what is unexplained is pending."""
        delivered, drops, pending = self._sort()
        return Totals(
            offered=len(self.offered),
            delivered=delivered,
            dropped=sum(drops.values()),
            pending=size(pending),
        )

    @property
    def drops(self) -> dict[str, int]:
        """Dropped frames by reason."""
        return dict(self._sort()[1])

    def _sort(self) -> tuple[int, Counter[str], list[Range]]:
        """How many were delivered, how many dropped for which reason, and which are neither."""
        rest = without(self.offered.ranges, self.arrived)
        delivered = len(self.offered) - size(rest)
        drops: Counter[str] = Counter()
        for reason, gone in {UNDECODABLE: self.spoiled, **self.dropped}.items():
            left = without(rest, gone)
            if size(left) < size(rest):
                drops[reason] += size(rest) - size(left)
            rest = left
        return delivered, drops, rest


Streams = defaultdict[str, FrameFacts]


def note_frames(streams: Streams, message: CriticalMessage) -> None:
    """Take in what a record says of frames, by stream."""
    if isinstance(message, BatchMetrics) and message.frame is not None:
        streams[message.frame.stream].offered.add(message.frame.fseq)
    elif isinstance(message, DropNotice):
        gone = streams[message.stream].dropped.setdefault(message.reason, RangeSet())
        gone.add(message.first_fseq, message.last_fseq)
    elif isinstance(message, RunEnded):
        for stream, totals in message.totals.items():
            streams[stream].offer_all(min(totals.offered, _LAST_FSEQ))
