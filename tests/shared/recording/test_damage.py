"""Whatever happens to a file, nothing wrong is read, and all that is whole is."""

import struct
import tracemalloc
import zlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer

from shared.errors import RecordingError
from shared.recording import Recorded, RecordingReader, RecordingWriter
from tests.shared.recording.files import PLAIN, SmallFile, make_file, read

MAGIC = b"\x89MCAP0\r\n"  # MCAP specification


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SmallFile:
    return make_file(tmp_path_factory.mktemp("made"))


def in_order(part: Iterable[Recorded], whole: Iterable[Recorded]) -> bool:
    """Whether `part` is `whole` with some items left out."""
    rest = iter(whole)
    return all(any(item == other for other in rest) for item in part)


def test_torn_anywhere_the_whole_chunks_are_read_and_the_tear_is_named(
    made: SmallFile, tmp_path: Path
) -> None:
    path = tmp_path / "torn.mcap"
    for size in range(len(MAGIC), len(made.data)):
        path.write_bytes(made.data[:size])
        items, losses = read(path)
        assert items == made.whole_before(size), size
        assert "not closed" in losses[-1], size
        whole_end = max(edge for edge in (0, *made.edges, made.closed_at) if edge <= size)
        torn = made.edges[0] <= whole_end < size < made.closed_at
        assert (f"{size - whole_end} bytes at byte {whole_end} " in losses[0]) == torn, size


@pytest.mark.parametrize("size", range(len(MAGIC)))
def test_less_than_a_beginning_is_no_recording(made: SmallFile, tmp_path: Path, size: int) -> None:
    path = tmp_path / "torn.mcap"
    path.write_bytes(made.data[:size])
    with pytest.raises(RecordingError, match=r"torn\.mcap is not an MCAP recording"):
        RecordingReader(path)


@pytest.mark.parametrize("flipped", [0x01, 0x02, 0x80, 0xFF])
def test_any_byte_flipped_costs_at_most_its_chunk(
    made: SmallFile, tmp_path: Path, flipped: int
) -> None:
    path = tmp_path / "flipped.mcap"
    for offset in range(len(made.data)):
        data = bytearray(made.data)
        data[offset] ^= flipped
        path.write_bytes(data)
        items, losses = read(path)
        hurt = made.chunk_at(offset)
        spared = [g for i, g in enumerate(made.groups) if i != hurt]
        spared_items = [item for group in spared for item in group]
        # A chunk's times are not looked at: a flip there costs nothing.
        assert items in (spared_items, made.items), offset
        if items != made.items:
            assert hurt is not None
            assert f"at byte {made.edges[hurt]} " in losses[0], offset
            assert len(losses) == 1, offset


EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "remove", "insert", "zero", "cut"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=200),
    ),
    min_size=1,
    max_size=4,
)


@settings(max_examples=300, deadline=None)
@given(EDITS)
def test_any_damage_leaves_only_true_items(
    made: SmallFile, tmp_path_factory: pytest.TempPathFactory, edits: list[tuple[str, float, bytes]]
) -> None:
    data = bytearray(made.data)
    for kind, share, noise in edits:
        at, behind = int(share * len(data)), int(share * len(data)) + len(noise)
        if kind == "flip":
            data[at:behind] = bytes(a ^ b for a, b in zip(data[at:behind], noise, strict=False))
        elif kind == "remove":
            del data[at:behind]
        elif kind == "insert":
            data[at:at] = noise
        elif kind == "zero":
            data[at:behind] = bytes(len(data[at:behind]))
        else:
            del data[at:]
    path = tmp_path_factory.getbasetemp() / "edited.mcap"
    path.write_bytes(data)
    try:
        items, losses = read(path)
    except RecordingError:
        assert bytes(data[:8]) != MAGIC
        return
    assert in_order(items, made.items)
    assert items == made.items or losses


@pytest.mark.parametrize("count", [1, 100])
def test_bytes_missing_inside_a_chunk_do_not_cost_the_next(
    made: SmallFile, tmp_path: Path, count: int
) -> None:
    path = tmp_path / "shorter.mcap"
    cut = made.edges[1] + 60
    path.write_bytes(made.data[:cut] + made.data[cut + count :])
    items, losses = read(path)
    assert items == [*made.groups[0], *made.groups[2], *made.groups[3]]
    assert len(losses) == 1


def test_bytes_put_in_between_chunks_are_passed_over(made: SmallFile, tmp_path: Path) -> None:
    path = tmp_path / "longer.mcap"
    edge = made.edges[2]
    path.write_bytes(made.data[:edge] + b"\x06" * 1000 + made.data[edge:])
    items, losses = read(path)
    assert items == made.items
    assert losses == [
        f"1000 bytes at byte {edge} are lost: no whole chunk begins here: damaged or cut off"
    ]


def test_a_chunk_far_behind_the_damage_is_found(tmp_path: Path) -> None:
    groups = tuple((replace(PLAIN, sequence=i, payload=bytes([i]) * 700_000),) for i in range(1, 6))
    made = make_file(tmp_path, groups)
    path = tmp_path / "damaged.mcap"
    data = bytearray(made.data)
    for chunk in (1, 3):
        data[made.edges[chunk] + 1 : made.edges[chunk] + 9] = b"\xff" * 8  # its length
    path.write_bytes(data)
    items, losses = read(path)
    assert [item.sequence for item in items] == [1, 3, 5]
    assert len(losses) == 2


@pytest.mark.parametrize("behind", [1, 20, 48])
def test_a_chunk_at_the_edge_of_what_is_searched_at_once_is_found(
    tmp_path: Path, behind: int
) -> None:
    window = 1 << 20  # the search reads this much at once, from one byte behind the damage
    around = make_file(tmp_path, ((PLAIN,),))
    overhead = around.closed_at - around.edges[0] - len(PLAIN.payload)
    payload = bytes(window + 1 - behind - overhead)
    made = make_file(tmp_path, ((replace(PLAIN, payload=payload),), (PLAIN,)))
    assert made.edges[1] - made.edges[0] == window + 1 - behind
    data = bytearray(made.data)
    data[made.edges[0]] ^= 0xFF
    path = tmp_path / "damaged.mcap"
    path.write_bytes(data)
    assert read(path)[0] == [PLAIN]


def test_a_recording_inside_a_message_is_never_taken_for_this_one(tmp_path: Path) -> None:
    inner = make_file(tmp_path, ((replace(PLAIN, run_id="another", payload=b"wrong"),),))
    outer = make_file(
        tmp_path,
        (
            (replace(PLAIN, sequence=1),),
            (replace(PLAIN, sequence=2, payload=inner.data),),
            (replace(PLAIN, sequence=3),),
        ),
    )
    path = tmp_path / "damaged.mcap"
    for offset in range(outer.edges[1], outer.edges[1] + 49):
        data = bytearray(outer.data)
        data[offset] ^= 0xFF
        path.write_bytes(data)
        items, _ = read(path)
        assert [i.sequence for i in items] in ([1, 3], [1, 2, 3]), offset
        assert {item.run_id for item in items} == {PLAIN.run_id}, offset


def test_sizes_from_the_file_are_not_allocated(made: SmallFile, tmp_path: Path) -> None:
    path = tmp_path / "claims.mcap"
    size = 1 << 31
    head = struct.pack("<BQQQQIIQ", 6, size + 40, 0, 0, size, 0, 0, size)
    start, rest = made.data[: made.edges[0]], made.data[made.edges[0] :]
    path.write_bytes(start + head * 100 + rest)
    tracemalloc.start()
    items, losses = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert items == made.items
    assert len(losses) == 1
    assert peak < 4 << 20


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.mcap"
    with RecordingWriter(path) as writer:
        for i in range(400):
            writer.write(replace(PLAIN, sequence=i, payload=bytes(50_000)))
    tracemalloc.start()
    count = sum(1 for _ in RecordingReader(path))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 400
    assert path.stat().st_size > 20_000_000
    assert peak < 1 << 20


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, begins_well: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.mcap"
    path.write_bytes(MAGIC + data if begins_well else data)
    if not begins_well:
        with pytest.raises(RecordingError, match="not an MCAP recording"):
            read(path)
        return
    items, losses = read(path)
    assert items == []
    assert losses


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_a_chunk_with_a_true_checksum_around_anything_is_contained(
    made: SmallFile, tmp_path_factory: pytest.TempPathFactory, body: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "around.mcap"
    crc = zlib.crc32(body)
    head = struct.pack("<BQQQQIIQ", 6, len(body) + 40, 0, 0, len(body), crc, 0, len(body))
    edge = made.edges[2]
    path.write_bytes(made.data[:edge] + head + body + made.data[edge:])
    items, _ = read(path)
    assert items == made.items


@pytest.mark.parametrize("chunked", [True, False])
def test_messages_of_another_program_are_named_not_read(tmp_path: Path, chunked: bool) -> None:
    path = tmp_path / "other.mcap"
    with path.open("wb") as file:
        writer = Writer(file, compression=CompressionType.NONE, use_chunking=chunked)
        writer.start()
        channel = writer.register_channel("topic", "msgpack", 0)
        writer.add_message(channel, log_time=1, data=b"x" * 50, publish_time=1, sequence=1)
        writer.finish()
    items, losses = read(path)
    assert items == []
    assert losses


def test_a_message_outside_a_chunk_is_not_data(made: SmallFile, tmp_path: Path) -> None:
    path = tmp_path / "loose.mcap"
    body = struct.pack("<HIQQ", 1, 9, 5, 5) + b"payload"
    loose = struct.pack("<BQ", 5, len(body)) + body
    path.write_bytes(made.data[: made.edges[1]] + loose + made.data[made.edges[1] :])
    items, losses = read(path)
    assert items == made.items
    assert losses[0].startswith(f"{len(loose)} bytes at byte {made.edges[1]} are lost")


def test_something_else_than_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="is not a file"):
        RecordingReader(tmp_path)
    with pytest.raises(RecordingError, match="cannot be read: No such file"):
        RecordingReader(tmp_path / "missing.mcap")
