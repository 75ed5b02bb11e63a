import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from shared.codec import (
    MAX_ARRAYS,
    MAX_MESSAGE_BYTES,
    decode,
    decode_payload,
    encode,
    join,
    split,
)
from shared.errors import ContractError
from shared.messages import BatchFrame, Message
from tests.builders import make_batch, make_frame, make_run_started, make_samples
from tests.shared.strategies import BATCH_FRAME, CRITICAL, same


@settings(max_examples=300, deadline=None)
@given(CRITICAL)
def test_critical_records_come_back(message: Message) -> None:
    parts = encode(message)
    assert len(parts) == 1
    assert same(decode(parts), message)
    assert same(decode_payload(join(parts)), message)


@settings(max_examples=150, deadline=None)
@given(BATCH_FRAME)
def test_frames_come_back(frame: BatchFrame) -> None:
    parts = encode(frame)
    assert same(decode(parts), frame)
    payload = join(parts)
    assert same(decode_payload(payload), frame)
    assert [bytes(part) for part in split(payload)] == [bytes(part) for part in parts]


@pytest.mark.parametrize("samples", [1, 40, 50, 60, 100, 5000])
def test_headers_of_any_length_are_found_before_their_arrays(samples: int) -> None:
    parts = encode(make_frame(count=samples, size=8))
    payload = join(parts)
    assert [bytes(part) for part in split(payload)] == [bytes(part) for part in parts]
    for end in (len(parts[0]) - 1, len(parts[0])):
        with pytest.raises(ContractError):
            split(payload[:end])


def test_nan_and_infinity_come_back_as_trained() -> None:
    batch = make_batch(loss=math.nan, mse=math.inf, scalars={"a": -math.inf, "b": math.nan})
    assert same(decode(encode(batch)), batch)


def test_encoding_copies_no_array() -> None:
    frame = make_frame()
    encoded = [np.frombuffer(part, np.uint8) for part in encode(frame)[1:]]
    maps = (*frame.attention.values(), *frame.activation.values())
    for buffer, array in zip(encoded, (frame.input, frame.reconstruction, *maps), strict=True):
        assert np.shares_memory(buffer, array)


def test_arrays_of_any_layout_are_encoded_by_their_values() -> None:
    frame = make_frame()
    turned = frame.input.transpose(0, 2, 1, 3)
    every_other = np.repeat(frame.attention["bam_384"], 2, axis=2)[:, :, ::2]
    assert not turned.flags.c_contiguous
    assert not every_other.flags.c_contiguous
    odd = make_frame(input=turned, attention={"bam_384": every_other})
    assert same(decode(encode(odd)), odd)


@pytest.mark.parametrize("padding", range(4))
def test_arrays_are_aligned_and_cannot_be_written(padding: int) -> None:
    # NumPy sums an unaligned array in another order, so a replay would differ from its run.
    frame = make_frame(samples=make_samples(2)[:1] + make_samples(1, first=9 * 10**padding))
    payload = join(encode(frame))
    for decoded in (decode_payload(payload), decode_payload(memoryview(b"x" + payload)[1:])):
        assert isinstance(decoded, BatchFrame)
        assert same(decoded, frame)
        for array in (decoded.input, *decoded.attention.values(), *decoded.activation.values()):
            assert array.flags.aligned
            assert not array.flags.writeable


def test_arrays_of_a_wire_form_are_not_copied() -> None:
    parts = encode(make_frame())
    decoded = decode(parts)
    assert isinstance(decoded, BatchFrame)
    assert np.shares_memory(decoded.input, np.frombuffer(parts[1], np.uint8))


@pytest.mark.parametrize(
    "config",
    [
        {"a": {1, 2}},
        {"a": b"bytes"},
        {"a": "x" * 70_000},
        {"a": 2**70},
        {"a": np.float32(1)},
        {"a": "\ud800"},
        {"a": list(range(70_000))},
        {str(i): i for i in range(20_000)},
        {"a": {1: 2}},
        {str(i): "x" * 60_000 for i in range(30)},
    ],
    ids=lambda config: repr(config)[:20],
)
def test_what_no_reader_takes_is_refused_by_the_writer(config: dict[str, Any]) -> None:
    started = make_run_started(config=config)
    with pytest.raises(ContractError):
        encode(started)


def test_a_frame_beyond_the_limits_is_refused_by_the_writer() -> None:
    side = 6_700
    images = np.broadcast_to(np.zeros(3, np.uint8), (1, side, side, 3))
    assert 2 * images.nbytes > MAX_MESSAGE_BYTES
    large = make_frame(count=1, input=images, reconstruction=images, attention={}, activation={})
    with pytest.raises(ContractError, match=r"message of 2 arrays and \d+ bytes"):
        encode(large)
    tiny = np.zeros((2, 1, 1), np.float32)
    many = make_frame(attention={f"layer_{i}": tiny for i in range(MAX_ARRAYS)})
    with pytest.raises(ContractError, match="message of 67 arrays"):
        encode(many)
