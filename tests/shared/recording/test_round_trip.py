from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.reader import make_reader

from shared.codec import decode_payload
from shared.errors import ConfigurationError, RecordingError
from shared.recording import Recorded, RecordingReader, RecordingWriter
from tests.builders import make_batch, make_frame, make_recorded, make_run_started
from tests.shared.recording.files import GROUPS, PLAIN, make_file, read

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
ITEMS = st.builds(
    Recorded,
    run_id=NAMES,
    run_name=NAMES,
    producer=NAMES,
    incarnation=st.integers(1, 2**32 - 1),
    channel=st.sampled_from(["ctl", "train", "val"]),
    sequence=st.integers(0, 2**32 - 1),
    captured_at_ns=st.integers(0, 2**64 - 1),
    payload=st.one_of(st.binary(max_size=64), st.integers(0, 200_000).map(bytes)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(ITEMS, st.booleans()), max_size=12))
def test_whatever_is_written_is_read_in_order(
    tmp_path_factory: pytest.TempPathFactory, written: list[tuple[Recorded, bool]]
) -> None:
    path = tmp_path_factory.mktemp("recording") / "a.mcap"
    with RecordingWriter(path) as writer:
        for item, flush in written:
            assert writer.write(item)
            if flush:
                writer.flush()
                assert writer.nbytes == path.stat().st_size
    assert writer.nbytes == path.stat().st_size
    assert read(path) == ([item for item, _ in written], [])


def test_messages_come_back_from_a_recording(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    batches = [make_batch(number) for number in range(1, 50)]
    with RecordingWriter(path) as writer:
        writer.write(make_recorded(make_run_started()))
        for number, batch in enumerate(batches, start=1):
            writer.write(make_recorded(batch, number + 1))
            writer.write(make_recorded(make_frame(number, size=64)))
    items = list(RecordingReader(path))
    messages = [decode_payload(item.payload) for item in items]
    assert messages[0] == make_run_started()
    assert messages[1::2] == batches
    assert [item.sequence for item in items if item.channel == "train"] == list(range(1, 50))


def test_the_librarys_own_reader_finds_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    items = [
        replace(PLAIN, sequence=i, producer=f"rank{i % 3}", payload=bytes([i]) * 3000)
        for i in range(100)
    ]
    with RecordingWriter(path) as writer:
        for item in items:
            writer.write(item)
    with path.open("rb") as file:
        found = list(make_reader(file, validate_crcs=True).iter_messages(log_time_order=False))
    assert all(channel.message_encoding == "msgpack" for _, channel, _ in found)
    theirs = [
        Recorded(
            run_id=channel.metadata["run_id"],
            run_name=channel.metadata["run_name"],
            producer=channel.metadata["producer"],
            incarnation=int(channel.metadata["incarnation"]),
            channel=channel.metadata["channel"],  # type: ignore[arg-type]
            sequence=message.sequence,
            captured_at_ns=message.publish_time,
            payload=message.data,
        )
        for _, channel, message in found
    ]
    assert theirs == items == list(RecordingReader(path))


def test_chunks_are_small_and_a_large_frame_has_its_own(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    large = replace(PLAIN, channel="train", payload=bytes(300_000))
    small = replace(PLAIN, payload=bytes(1000))
    with RecordingWriter(path) as writer:
        for item in (*[small] * 100, large, *[small] * 100):
            writer.write(item)
    data = path.read_bytes()
    sizes = []
    offset = data.index(b"\x06", 8)  # the header holds no byte 6: its token is hexadecimal
    while data[offset] == 6:  # opcode and length of each record, MCAP specification
        length = 9 + int.from_bytes(data[offset + 1 : offset + 9], "little")
        sizes.append(length)
        offset += length
    assert sorted(sizes)[-1] > 300_000
    assert all(size <= 1 << 16 for size in sorted(sizes)[:-1])
    assert len(sizes) >= 5
    assert data.count(b"run_name") == len(sizes)  # a channel is named once a chunk


def test_what_was_read_stays_as_it_was_while_more_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    sizes = (100_000, 300_000, 70_000, 10, 300_000, 200_000)
    items = [
        replace(PLAIN, channel="train", sequence=i, payload=bytes([i]) * nbytes)
        for i, nbytes in enumerate(sizes)
    ]
    with RecordingWriter(path) as writer:
        for item in items:
            writer.write(item)
    found, losses = read(path)
    assert [type(item.payload) for item in found] == [bytes] * len(items)
    assert (found, losses) == (items, [])


def test_a_reader_may_be_used_again_and_left_early(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    made = make_file(tmp_path)
    path.write_bytes(made.data[:-1])
    reader = RecordingReader(path)
    assert next(iter(reader)) == made.items[0]
    assert reader.losses == []
    for _ in range(2):
        assert list(reader) == made.items
        assert len(reader.losses) == 1


def test_a_file_that_is_being_written_is_read_up_to_its_last_flush(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    with RecordingWriter(path) as writer:
        assert read(path)[0] == []
        writer.write(GROUPS[0][0])
        writer.flush()
        writer.write(GROUPS[0][1])
        items, losses = read(path)
    assert items == [GROUPS[0][0]]
    assert len(losses) == 1
    assert "not closed" in losses[0]
    assert read(path) == (list(GROUPS[0]), [])


def test_the_limit_is_never_passed_and_what_fits_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    item = replace(PLAIN, payload=bytes(10_000))
    with RecordingWriter(path, limit_bytes=100_000) as writer:
        taken = [writer.write(item) for _ in range(20)]
        writer.flush()
        assert writer.write(replace(PLAIN, payload=b"a little more"))
    assert taken == [True] * 9 + [False] * 11
    assert path.stat().st_size <= 100_000
    assert len(read(path)[0]) == 10


def test_the_closed_file_fits_the_limit_to_the_byte(tmp_path: Path) -> None:
    unlimited = tmp_path / "unlimited.mcap"
    with RecordingWriter(unlimited) as writer:
        writer.write(PLAIN)
    size = unlimited.stat().st_size
    for limit in range(size - 60, size + 1):
        path = tmp_path / f"{limit}.mcap"
        with RecordingWriter(path, limit_bytes=limit) as writer:
            taken = writer.write(PLAIN)
        assert taken == (limit == size)
        assert path.stat().st_size <= limit


def test_a_writer_never_overwrites(tmp_path: Path) -> None:
    path = tmp_path / "run.mcap"
    path.write_text("something dear")
    with pytest.raises(ConfigurationError, match=r"run\.mcap exists already"):
        RecordingWriter(path)
    assert path.read_text() == "something dear"


def test_a_closed_writer_takes_nothing(tmp_path: Path) -> None:
    writer = RecordingWriter(tmp_path / "run.mcap")
    writer.close()
    writer.close()
    with pytest.raises(RecordingError, match="is closed"):
        writer.write(PLAIN)


@pytest.mark.parametrize(
    ("override", "named"),
    [
        ({"sequence": 2**32}, "sequence 4294967296"),
        ({"sequence": -1}, "sequence -1"),
        ({"captured_at_ns": 2**64}, "time"),
        ({"captured_at_ns": -1}, "time"),
        ({"incarnation": 0}, "incarnation 0"),
        ({"channel": "bulk"}, "channel 'bulk'"),
        ({"producer": "r" * 4097}, "name of more"),
        ({"producer": "\ud800"}, "surrogates"),
    ],
)
def test_an_item_that_would_not_come_back_is_refused(
    tmp_path: Path, override: dict[str, object], named: str
) -> None:
    path = tmp_path / "run.mcap"
    with RecordingWriter(path) as writer:
        with pytest.raises(RecordingError, match=named):
            writer.write(replace(PLAIN, **override))  # type: ignore[arg-type]
        writer.write(PLAIN)
    assert read(path) == ([PLAIN], [])
