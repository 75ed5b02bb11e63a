"""What the folder no longer holds, in the words of the report and of `verify`."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from analyzer_service.commit.letting_go import LetGo
from analyzer_service.sinks.report_wording import plural
from shared.recording import Segment, deleted_segments, find_segments

_PHASES: Final = {"train": "training", "val": "validation"}


def let_go_sentences(let_go: LetGo, folder: Path) -> list[str]:
    """A sentence for each kind of files that were deleted, as the analyzer was asked to."""
    return [*_of_dashboards(let_go), *_of_frames(let_go), *_of_recording(folder)]


def segments_in_words(gone: Sequence[Segment]) -> str:
    """Names of deleted segments: the first, and the last of several."""
    names = [f"`{segment.name}`" for segment in gone]
    return names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"


def _of_dashboards(let_go: LetGo) -> Iterator[str]:
    for phase, count in let_go.dashboards.items():
        kept = {
            "train": f"every {_ordinal(let_go.every)} is kept, and the last",
            "val": f"those of every {_ordinal(let_go.every)} epoch are kept, and of the last",
        }
        drawn = plural(count, f"{_PHASES[phase]} dashboard")
        yield f"{drawn}, as newer ones were drawn (`--keep-dashboards`): {kept[phase]}."


def _of_frames(let_go: LetGo) -> Iterator[str]:
    if let_go.frames:
        files = plural(let_go.frames, "file")
        yield f"The oldest {files} of `frames/`, beyond its size limit (`--frames-limit`)."


def _of_recording(folder: Path) -> Iterator[str]:
    gone = deleted_segments(find_segments(folder))
    if gone:
        yield (
            f"{plural(len(gone), 'segment')} of the recording, {segments_in_words(gone)}, beyond "
            "its size limit (`--record-limit`): a replay of the others lacks what was in them."
        )


def _ordinal(number: int | None) -> str:
    """A number as a place in a row.

    Examples
    --------
    >>> [_ordinal(n) for n in (2, 3, 10, 12, 21, None)]
    ['2nd', '3rd', '10th', '12th', '21st', 'Nth']
    """
    if number is None:
        return "Nth"
    teens = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
