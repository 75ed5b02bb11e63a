"""Each rule of the wire form, broken by itself in a valid message."""

import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from shared.codec import MAX_ARRAYS, MAX_HEADER_BYTES, decode, decode_payload, encode, join, split
from shared.errors import ContractError
from shared.messages import SCHEMA_VERSION, Message
from tests.builders import make_batch, make_frame, make_run_started
from tests.shared.strategies import same

Fields = dict[str, Any]


def header_of(parts: list[Any]) -> Fields:
    fields: Fields = msgpack.unpackb(parts[0])
    return fields


def broken(change: Callable[[Fields], Any]) -> list[Any]:
    parts = encode(make_frame())
    fields = header_of(parts)
    change(fields)
    return [msgpack.packb(fields), *parts[1:]]


def set_array(index: int, part: int, value: Any) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields["a"][index][part] = value

    return change


def claim(shape: list[int], nbytes: int) -> Callable[[Fields], None]:
    def change(fields: Fields) -> None:
        fields["a"][0][2:] = [shape, nbytes]

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (set_array(0, 0, "secret"), "unknown array 'secret'"),
        (set_array(0, 0, "attention/"), "unknown array 'attention/'"),
        (set_array(0, 0, "attention/a b"), "input: Field required"),
        (set_array(2, 0, "attention/a b"), "'a b' must be letters, digits"),
        (set_array(0, 0, 7), "array 7"),
        (set_array(1, 0, "input"), "'input' came twice"),
        (set_array(3, 0, "attention/bam_384"), "'attention/bam_384' came twice"),
        (set_array(0, 1, "<f4"), "do not fit"),
        (set_array(0, 1, "|O"), "dtype '|O'"),
        (set_array(0, 1, ">f4"), "dtype '>f4'"),
        (set_array(0, 1, None), "dtype None"),
        (set_array(0, 2, [2, 32, 32]), "do not fit"),
        (set_array(0, 2, [2, 32, 32, 3, 1]), "at most 4 sizes"),
        (set_array(0, 2, [-2, -32, 32, 3]), "impossible shape"),
        (set_array(0, 2, [2, 32, 32, 3.0]), "impossible shape"),
        (set_array(0, 2, [True, 64, 32, 3]), "impossible shape"),
        (set_array(0, 2, [2**32, 2**32, 0, 3]), "impossible shape"),
        (set_array(0, 2, "2332"), "shape must be a list"),
        (set_array(0, 2, [2, 16, 64, 3]), "differ"),
        (set_array(0, 3, 6143), "do not fit"),
        (set_array(0, 3, "6144"), "do not fit"),
        (claim([2, 32, 32, 2], 4096), "4096 bytes announced, 6144 came"),
        (claim([1 << 28, 1 << 28, 1 << 7], 1 << 63), "too many"),
        (claim([1 << 20, 1 << 10], 1 << 30), "too many"),
        (claim([0, 1 << 28, 1 << 28, 1 << 28], 0), "0 bytes announced"),
        (lambda fields: fields["a"].append(["x", "|u1", [0]]), "array entry must be"),
        (lambda fields: fields["a"].append("x"), "array entry must be"),
        (lambda fields: fields["a"].pop(), "4 arrays announced, 5 came"),
        (lambda fields: fields.update(a=None), "array index must be a list"),
        (lambda fields: fields.update(a=[["x", "|u1", [0], 0]] * 65), "at most 64 entries"),
        (lambda fields: fields.update(m=[1]), "message body must be a map"),
        (lambda fields: fields.pop("m"), "message body must be a map"),
        (lambda fields: fields.pop("v"), r"must be \[major, minor\], got None"),
        (lambda fields: fields.update(v=[1]), r"must be \[major, minor\]"),
        (lambda fields: fields.update(v=[True, 0]), r"must be \[major, minor\]"),
        (lambda fields: fields["m"].update(type="pickle"), "unknown message type 'pickle'"),
        (lambda fields: fields["m"].update(type=[]), r"unknown message type \[\]"),
        (lambda fields: fields["m"].pop("type"), "unknown message type None"),
        (lambda fields: fields["m"].update(type="epoch_ended"), "carries no arrays, 5 came"),
        (lambda fields: fields["m"].update(epoch=-1), "batch_frame: epoch: "),
        (lambda fields: fields["m"].update(epoch=2**63), "batch_frame: epoch: "),
        (lambda fields: fields["m"].update(fseq=2**32), "batch_frame: fseq: "),
        (lambda fields: fields["m"].update(samples=[]), "0 samples are described, 2 images came"),
        (lambda fields: fields["m"]["samples"][0].update(row=2**63), "samples.0.row"),
        (lambda fields: fields["m"]["samples"][0].update(mpp=0), "samples.0.mpp"),
    ],
)
def test_a_broken_header_is_refused_and_says_why(
    change: Callable[[Fields], Any], said: str
) -> None:
    parts = broken(change)
    with pytest.raises(ContractError, match=said):
        decode(parts)
    with pytest.raises(ContractError):
        decode_payload(join(parts))


def test_the_parts_must_be_those_of_the_index() -> None:
    parts = encode(make_frame())
    for wrong in ([], parts[:1], parts[:-1], [*parts, b""], [*parts, b"x"], parts[1:], parts[::-1]):
        with pytest.raises(ContractError):
            decode(wrong)
    with pytest.raises(ContractError, match="6144 bytes announced, 6143 came"):
        decode([parts[0], memoryview(parts[1])[:-1], *parts[2:]])
    with pytest.raises(ContractError, match="65 arrays, at most 64"):
        decode([parts[0], *[b""] * (MAX_ARRAYS + 1)])


@pytest.mark.parametrize("end", [0, 1, 100, -1])
def test_a_cut_payload_is_refused(end: int) -> None:
    payload = join(encode(make_frame()))
    with pytest.raises(ContractError):
        split(payload[:end])
    with pytest.raises(ContractError, match="its header announces"):
        split(payload + b"x")


def test_bytes_behind_a_header_are_refused() -> None:
    with pytest.raises(ContractError, match=r"header of \d+ bytes, \d+ came"):
        decode([*encode(make_batch())[:-1], bytes(encode(make_batch())[0]) + b"\0"])


def test_a_newer_minor_version_is_read_without_what_is_new() -> None:
    batch = make_batch()
    fields = header_of(encode(batch))
    fields["v"][1] += 7
    fields["new"] = {"anything": 1}
    fields["m"]["tomorrow"] = [1, 2, 3]
    assert same(decode([msgpack.packb(fields)]), batch)


@pytest.mark.parametrize("message", [make_frame(), make_batch()], ids=["frame", "batch"])
def test_arrays_that_a_newer_minor_version_adds_are_left_out(message: Message) -> None:
    parts = encode(message)
    fields = header_of(parts)
    fields["a"].append(["mask", "|u1", [2, 2], 4])
    parts = [msgpack.packb(fields), *parts[1:], b"\0\1\1\0"]
    with pytest.raises(ContractError):
        decode(parts)
    fields["v"][1] += 1
    parts[0] = msgpack.packb(fields)
    assert same(decode(parts), message)
    assert same(decode_payload(join(parts)), message)


@pytest.mark.parametrize("major", [0, 2, 2**40])
def test_another_major_version_is_refused_by_name(major: int) -> None:
    fields = header_of(encode(make_batch()))
    fields["v"] = [major, 3]
    ours = ".".join(map(str, SCHEMA_VERSION))
    said = f"version {major}.3 cannot be read by version {ours}: install the same Sidelight"
    with pytest.raises(ContractError, match=said):
        decode([msgpack.packb(fields)])


def test_headers_beyond_the_limit_are_refused() -> None:
    with pytest.raises(ContractError):
        decode([bytes(MAX_HEADER_BYTES + 1)])
    fields = header_of(encode(make_run_started()))
    fields["m"]["config"] = {str(i): "x" * 60_000 for i in range(20)}
    with pytest.raises(ContractError, match="unreadable header"):
        decode([msgpack.packb(fields)])


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def test_a_deep_configuration_is_refused() -> None:
    # The analyzer stores it as JSON, which pydantic writes to a depth of 255 only.
    assert make_run_started(config=nested(32)).model_dump_json()
    fields = header_of(encode(make_run_started()))
    for levels in (33, 300, 900, 5000):
        fields["m"]["config"] = None
        packed = msgpack.packb(fields).replace(
            b"\xa6config\xc0", b"\xa6config" + b"\x81\xa1a" * levels + b"\x01"
        )
        with pytest.raises(ContractError):
            decode([packed])


@pytest.mark.parametrize(
    "part",
    [
        b"\xdb\x40\x00\x00\x00",  # text of 1 GiB
        b"\xc6\x40\x00\x00\x00",  # bytes of 1 GiB
        b"\xc9\x40\x00\x00\x00\x01",  # extension of 1 GiB
        b"\xdd\x08\x00\x00\x00",  # list of 2**27
        b"\xdf\x08\x00\x00\x00",  # map of 2**27
        msgpack.packb({"v": [1, 0], "m": {}, "a": [["input", "|u1", [1 << 20, 1024], 1 << 30]]}),
        msgpack.packb({"v": [1, 0], "m": {}, "a": [["input", "|u1", [1 << 28], 1 << 28]]}),
    ],
)
def test_what_a_header_claims_is_not_allocated(part: bytes) -> None:
    tracemalloc.start()
    try:
        for refused in (lambda: decode([part]), lambda: decode_payload(part)):
            with pytest.raises(ContractError):
                refused()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4 << 20


def test_nested_claims_allocate_little() -> None:
    nested_lists = b"\xdd\x00\x00\x40\x00" * 100_000  # 2**14 elements each, in each other
    tracemalloc.start()
    try:
        with pytest.raises(ContractError):
            decode([nested_lists])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 128 << 20
