"""Recordings to damage: small files whose chunk boundaries are known from the file's size."""

from dataclasses import dataclass, replace
from pathlib import Path

from shared.recording import Recorded, RecordingReader, RecordingWriter

PLAIN = Recorded(
    run_id="run-0001",
    run_name="demo",
    producer="rank0",
    incarnation=1,
    channel="ctl",
    sequence=1,
    captured_at_ns=1_760_000_000_000_000_000,
    payload=b"first",
)
GROUPS = (
    (PLAIN, replace(PLAIN, sequence=2, payload=b"second")),
    (
        replace(PLAIN, channel="train", payload=b"frame 1"),
        replace(PLAIN, channel="val", payload=b""),
        replace(PLAIN, sequence=3, payload=b"third"),
    ),
    (replace(PLAIN, producer="rank1", incarnation=2, payload=bytes(range(64))),),
    (replace(PLAIN, channel="train", sequence=2, captured_at_ns=5, payload=b"frame 2"),),
)


@dataclass(frozen=True)
class SmallFile:
    """A closed recording with one chunk a group; ``edges[i]`` is where chunk i begins."""

    data: bytes
    groups: tuple[tuple[Recorded, ...], ...]
    edges: tuple[int, ...]
    closed_at: int

    @property
    def items(self) -> list[Recorded]:
        return [item for group in self.groups for item in group]

    def whole_before(self, offset: int) -> list[Recorded]:
        """Items of the chunks that end at `offset` or earlier."""
        ends = (*self.edges[1:], self.closed_at)
        whole = [group for group, end in zip(self.groups, ends, strict=True) if end <= offset]
        return [item for group in whole for item in group]

    def chunk_at(self, offset: int) -> int | None:
        """Which chunk the byte at `offset` belongs to."""
        ends = (*self.edges[1:], self.closed_at)
        for i, (start, end) in enumerate(zip(self.edges, ends, strict=True)):
            if start <= offset < end:
                return i
        return None


def make_file(folder: Path, groups: tuple[tuple[Recorded, ...], ...] = GROUPS) -> SmallFile:
    path = folder / "made.mcap"
    edges = []
    with RecordingWriter(path) as writer:
        for group in groups:
            edges.append(path.stat().st_size)
            for item in group:
                assert writer.write(item)
            writer.flush()
        closed_at = path.stat().st_size
    data = path.read_bytes()
    path.unlink()
    return SmallFile(data, groups, tuple(edges), closed_at)


def read(path: Path) -> tuple[list[Recorded], list[str]]:
    reader = RecordingReader(path)
    items = list(reader)
    return items, [str(loss) for loss in reader.losses]
