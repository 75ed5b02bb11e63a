"""Any bytes give a message or `ContractError`; a message that was taken can be sent on."""

from collections.abc import Callable
from typing import Any, TypeVar

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.codec import decode, decode_payload, encode, join
from shared.errors import ContractError
from shared.messages import Message
from shared.protocol import pack, unpack
from tests.builders import make_frame, make_run_started
from tests.shared.strategies import MESSAGES, same

T = TypeVar("T")
ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
    | st.binary(max_size=10)
    | st.just(msgpack.ExtType(1, b"x"))
    | st.just(msgpack.Timestamp(1, 2)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("amvtype_/", max_size=6) | st.integers(-9, 9), inner, max_size=4)
    ),
    max_leaves=8,
)
TYPES = st.sampled_from(
    ["run_started", "batch_metrics", "batch_frame", "epoch_ended", "drop_notice", "run_ended"]
)
FIELDS = st.sampled_from(
    [
        "phase", "epoch", "stream", "fseq", "first_fseq", "last_fseq", "reason", "layers",
        "config", "run_name", "samples", "input", "attention", "totals", "scalars", "frame",
        "status", "captured_at_ns", "loss", "mpp", "incarnation", "resumed_from_step",
    ]
)  # fmt: skip
KINDS = st.sampled_from(
    [
        "hello", "welcome", "reject", "reset", "attach", "record", "frame", "ack", "credit",
        "heartbeat", "fin", "finack",
    ]
)  # fmt: skip


def taken(read: Callable[[], T]) -> T | None:
    """What `read` gives, or None where it raises `ContractError` with a text."""
    try:
        return read()
    except ContractError as error:
        if not str(error):
            raise AssertionError("a ContractError must say what is wrong") from error
        return None


def check(parts: list[Any]) -> None:
    for read in (lambda: decode(parts), lambda: decode_payload(join(parts))):
        message = taken(read)
        assert message is None or same(decode(encode(message)), message)


@settings(max_examples=250, deadline=None)
@given(st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes(parts: list[bytes]) -> None:
    check(parts)


@settings(max_examples=250, deadline=None)
@given(ANYTHING, st.lists(st.binary(max_size=20), max_size=3))
def test_any_msgpack(fields: Any, parts: list[bytes]) -> None:
    check([msgpack.packb(fields), *parts])


@settings(max_examples=250, deadline=None)
@given(TYPES, st.dictionaries(FIELDS, ANYTHING, max_size=6), ANYTHING, st.booleans())
def test_any_fields(kind: str, body: dict[str, Any], index: Any, plain: bool) -> None:
    header = {"v": [1, 0], "m": body | {"type": kind}, "a": [] if plain else index}
    check([msgpack.packb(header)])


@settings(max_examples=250, deadline=None)
@given(FIELDS, ANYTHING, st.booleans())
def test_any_value_in_a_valid_message(field: str, value: Any, framed: bool) -> None:
    parts = encode(make_frame(size=8) if framed else make_run_started())
    header = msgpack.unpackb(parts[0])
    header["m"][field] = value
    check([msgpack.packb(header), *parts[1:]])


@settings(max_examples=250, deadline=None)
@given(MESSAGES, st.integers(0), st.binary(min_size=1, max_size=4), st.booleans())
def test_any_change_of_a_valid_message(
    message: Message, place: int, noise: bytes, inserted: bool
) -> None:
    payload = join(encode(message))
    at = place % len(payload)
    changed = payload[:at] + noise + payload[at + (0 if inserted else len(noise)) :]
    for read in (lambda: decode_payload(changed), lambda: decode([changed])):
        found = taken(read)
        assert found is None or same(decode(encode(found)), found)


@pytest.mark.parametrize("framed", [True, False])
def test_a_message_cut_anywhere(framed: bool) -> None:
    payload = join(encode(make_frame(size=8) if framed else make_run_started()))
    for end in range(len(payload)):
        with pytest.raises(ContractError):
            decode_payload(payload[:end])


@settings(max_examples=250, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_as_a_control_header(part: bytes) -> None:
    check_control(part)


@settings(max_examples=250, deadline=None)
@given(
    KINDS,
    st.dictionaries(
        st.sampled_from(
            ["protocol", "schema_version", "cseq", "fseq", "stream", "token", "delivered", "rank",
             "credit_bytes", "committed_cseq", "run_id", "incarnation", "reason", "work_lag_ms"]
        ),
        ANYTHING,
        max_size=8,
    ),
)  # fmt: skip
def test_any_fields_as_a_control_header(kind: str, fields: dict[str, Any]) -> None:
    check_control(msgpack.packb(fields | {"kind": kind}))


@settings(max_examples=300, deadline=None)
@given(ANYTHING)
def test_any_msgpack_as_a_control_header(fields: Any) -> None:
    check_control(msgpack.packb(fields))


def check_control(part: bytes) -> None:
    control = taken(lambda: unpack(part))
    # Compared as bytes, for a lag may be NaN.
    assert control is None or pack(unpack(pack(control))) == pack(control)
