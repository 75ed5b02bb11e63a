"""Chunks and answers as bytes: the same again, or a `ContractError`."""

import math

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer_service.cluster.chunks import (
    AnsweredCall,
    AnsweredChunk,
    AskedCall,
    AskedChunk,
    pack_answered,
    pack_asked,
    unpack_answered,
    unpack_asked,
)
from shared.errors import ContractError

ASKED = AskedChunk(
    "abc",
    (
        AskedCall("module:CALL", [{"x": 1.5, "y": [None, b"\0", "text"]}], 30.0, True),
        AskedCall("module:OTHER", [], 0.5, False),
    ),
)
ANSWERED = AnsweredChunk(
    (
        AnsweredCall("done", {"loss": 0.1, "count": 3}, took_ms=12.5),
        AnsweredCall("failed", error="OSError: full", errno=28),
        AnsweredCall("timed_out", error="TimeoutError: 0.5 s", took_ms=500.0),
    )
)


def test_a_chunk_comes_as_it_went() -> None:
    assert unpack_asked(pack_asked(ASKED)) == ASKED


def test_answers_come_as_they_went() -> None:
    assert unpack_answered(pack_answered(ANSWERED), 3) == ANSWERED
    refused = AnsweredChunk(refused="another version")
    assert unpack_answered(pack_answered(refused), 3) == refused


@given(st.floats())
def test_every_float_comes_back_with_its_bits(value: float) -> None:
    packed = pack_answered(AnsweredChunk((AnsweredCall("done", value),)))
    again = unpack_answered(packed, 1).answers[0].value
    assert type(again) is float
    assert np.float64(again).tobytes() == np.float64(value).tobytes() or math.isnan(value)


def test_a_number_that_would_change_its_type_is_refused() -> None:
    for value in (np.float64(1.0), (1, 2), {1, 2}):
        with pytest.raises(TypeError):
            pack_answered(AnsweredChunk((AnsweredCall("done", value),)))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_chunk_or_a_contract_error(packed: bytes) -> None:
    for unpack in (unpack_asked, lambda some: unpack_answered(some, 1)):
        try:
            unpack(packed)
        except ContractError:
            continue


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        [None, [["done"]] * 2],  # one too many
        [None, [["vanished", None, None, None, 0.0]]],
        [None, [[1, 2, 3, 4, 5, 6, 7]]],
        [["refused"], []],
        [None, [["done", None, None, None, "soon"]]],
        [None, [["done", None, None, None, math.nan]]],
        [None, [["done", None, None, None, -1.0]]],
        [None, [["failed", None, 7, None, 1.0]]],
        [None, [["failed", None, None, "28", 1.0]]],
    ],
)
def test_answers_of_another_kind_are_refused(content: object) -> None:
    with pytest.raises(ContractError):
        unpack_answered(msgpack.packb(content), 1)
