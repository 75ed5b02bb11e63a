"""What recordings hold, found before anything is written: runs, producers, gaps, damage."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from heapq import merge
from pathlib import Path

from analyzer_service.pipeline import Origin
from shared.codec import decode_payload
from shared.errors import ConfigurationError, ContractError
from shared.messages import RunEnded, RunStarted
from shared.recording import Loss, Recorded, RecordingReader
from shared.sequences import Range, RangeSet


@dataclass
class HeldOrigin:
    """What the recordings hold of one start of one producer."""

    origin: Origin
    started: RunStarted
    has_start: bool = False
    ended: bool = False
    records: RangeSet = field(default_factory=RangeSet)

    @property
    def gaps(self) -> list[Range]:
        """Ranges of records that are missing before the last one."""
        ranges = self.records.ranges
        return self.records.missing(1, ranges[-1][1]) if ranges else []

    def note(self, item: Recorded) -> None:
        """Take in an item of this origin."""
        if item.channel != "ctl":
            return
        self.records.add(item.sequence)
        try:
            message = decode_payload(item.payload) if _tells(item) else None
        except ContractError:
            return
        if isinstance(message, RunStarted):
            self.started, self.has_start = message, True
        self.ended = self.ended or isinstance(message, RunEnded)


@dataclass
class HeldRun:
    """What the recordings hold of one run."""

    run_id: str
    run_name: str
    origins: dict[Origin, HeldOrigin] = field(default_factory=dict)

    @property
    def started(self) -> RunStarted:
        """The facts of its first start that has any."""
        first = min(
            self.origins.values(), key=lambda held: (not held.has_start, held.origin.incarnation)
        )
        return first.started


class Inventory:
    """Everything that the recordings `paths` hold together.

    Iterating gives the items of all files, merged by the time at which they were captured.

    Raises
    ------
    RecordingError
        If a file cannot be read or is no recording.
    ConfigurationError
        If the files hold nothing, or two runs of one name.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        self._readers = {path: RecordingReader(path) for path in paths}
        self.runs: dict[str, HeldRun] = {}
        self._counts: dict[Path, Counter[str]] = {}
        for path, reader in self._readers.items():
            counts = self._counts[path] = Counter()
            for item in reader:
                counts[item.run_id] += 1
                self._note(item)
        if not self.runs:
            names = ", ".join(map(str, paths))
            raise ConfigurationError(f"nothing to replay: no whole message is left in {names}")
        self._check_names()

    @property
    def items(self) -> int:
        """How many items there are."""
        return sum(counts.total() for counts in self._counts.values())

    @property
    def losses(self) -> dict[Path, list[Loss]]:
        """What could not be read, by file."""
        return {path: reader.losses for path, reader in self._readers.items() if reader.losses}

    def __iter__(self) -> Iterator[Recorded]:
        return merge(*self._readers.values(), key=lambda item: item.captured_at_ns)

    def split(self, most_runs: int) -> "list[Inventory]":
        """The same in parts of `most_runs` runs, or of one that its files do not let be divided.

        All files of a run are in one part, so each part is replayed as all would be. Only the
        files of the part that is iterated are open.
        """
        parts: list[_Together] = []
        for group in self._groups():
            if not parts or len(parts[-1].runs) + len(group.runs) > most_runs:
                parts.append(_Together())
            parts[-1].join(group)
        return [self._part(part) for part in parts]

    def _groups(self) -> "list[_Together]":
        """Files that hold parts of the same runs, in the order in which they were given."""
        of_run: dict[str, _Together] = {}
        alone: list[_Together] = []
        for path, counts in self._counts.items():
            group = _Together({path: None}, dict.fromkeys(counts))
            others = {id(other): other for run in counts if (other := of_run.get(run))}
            for other in others.values():
                group = other.join(group)
            of_run |= dict.fromkeys(group.runs, group)
            alone += [] if counts else [group]
        return [*{id(group): group for group in of_run.values()}.values(), *alone]

    def _part(self, together: "_Together") -> "Inventory":
        part = object.__new__(Inventory)
        part._readers = {path: self._readers[path] for path in together.paths}
        part._counts = {path: self._counts[path] for path in together.paths}
        part.runs = {run: self.runs[run] for run in together.runs}
        return part

    def _note(self, item: Recorded) -> None:
        run = self.runs.setdefault(item.run_id, HeldRun(item.run_id, item.run_name))
        origin = Origin(item.producer, item.incarnation)
        if origin not in run.origins:
            run.origins[origin] = HeldOrigin(origin, _stand_in(item))
        run.origins[origin].note(item)

    def _check_names(self) -> None:
        ids: dict[str, str] = {}
        for run in self.runs.values():
            other = ids.setdefault(run.run_name, run.run_id)
            if other != run.run_id:
                raise ConfigurationError(
                    f"the files hold two runs named {run.run_name!r} ({other} and {run.run_id}): "
                    "replay their files one by one, each with its own --output-dir"
                )


@dataclass
class _Together:
    """Files and runs that are replayed together; dicts, because these keep their order."""

    paths: dict[Path, None] = field(default_factory=dict)
    runs: dict[str, None] = field(default_factory=dict)

    def join(self, other: "_Together") -> "_Together":
        self.paths |= other.paths
        self.runs |= other.runs
        return self


def _tells(item: Recorded) -> bool:
    """Whether the item may be a RunStarted or a RunEnded."""
    return item.sequence == 1 or b"run_ended" in item.payload


def _stand_in(item: Recorded) -> RunStarted:
    """The least that must be known of a run whose RunStarted is lost."""
    return RunStarted(
        run_id=item.run_id,
        run_name=item.run_name,
        producer=item.producer,
        incarnation=item.incarnation,
        started_at_ns=item.captured_at_ns,
    )
