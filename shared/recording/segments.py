"""The files of a recording that is kept in segments, by their names.

``stream.mcap`` is followed by ``stream.1.mcap``, ``stream.2.mcap``, …; an analyzer that was
started again goes on in ``stream_2.mcap``, ``stream_2.1.mcap``, and so on. Segments are made in
order and deleted from the oldest on, so the names tell which ones are gone.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

_NAME: Final = re.compile(r"stream(?:_([2-9]|[1-9]\d+))?(?:\.([1-9]\d*))?\.mcap")


class Segment(NamedTuple):
    """One file: of which start of an analyzer, from 1, and the how manieth of it, from 0.

    Examples
    --------
    >>> Segment(1, 0).name, Segment(1, 3).name, Segment(2, 3).name
    ('stream.mcap', 'stream.3.mcap', 'stream_2.3.mcap')
    """

    start: int
    number: int

    @property
    def name(self) -> str:
        """The file's name."""
        start = f"_{self.start}" if self.start > 1 else ""
        number = f".{self.number}" if self.number else ""
        return f"stream{start}{number}.mcap"


def segment_of(name: str) -> Segment | None:
    """The segment that a file's name says; None for any other file.

    Examples
    --------
    >>> segment_of("stream_2.10.mcap"), segment_of("stream_1.mcap"), segment_of("other.mcap")
    (Segment(start=2, number=10), None, None)
    """
    found = _NAME.fullmatch(name)
    return Segment(int(found[1] or 1), int(found[2] or 0)) if found else None


def find_segments(folder: Path) -> list[Segment]:
    """Segments that are in `folder`, the oldest first."""
    found = (segment_of(path.name) for path in folder.glob("stream*.mcap"))
    return sorted(segment for segment in found if segment is not None)


def deleted_segments(kept: Iterable[Segment]) -> list[Segment]:
    """Segments that were there before the oldest of those that are `kept`.

    Of a start of which nothing is left its first segment stands for all.

    Examples
    --------
    >>> [segment.name for segment in deleted_segments([Segment(1, 2), Segment(1, 3)])]
    ['stream.mcap', 'stream.1.mcap']
    """
    kept = sorted(kept)
    if not kept:
        return []
    oldest = kept[0]
    gone = [Segment(start, 0) for start in range(1, oldest.start)]
    return gone + [Segment(oldest.start, number) for number in range(oldest.number)]
