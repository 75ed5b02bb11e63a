from typing import Any, get_args

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.errors import ContractError
from shared.messages import Books, RecordTotals, Totals
from shared.protocol import (
    MAX_CONTROL_BYTES,
    Ack,
    Attach,
    Control,
    Credit,
    Fin,
    FinAck,
    Frame,
    Heartbeat,
    Hello,
    Record,
    Reject,
    Reset,
    Welcome,
    pack,
    unpack,
)
from tests.shared.strategies import COUNTS, FLOATS, POSITIVES, SEQUENCES, STREAMS, TEXTS, maybe

VERSIONS = st.tuples(st.integers(0, 99), st.integers(0, 99))
OUR_MAJOR = st.tuples(st.just(1), st.integers(0, 99))
RANGES = st.lists(st.tuples(SEQUENCES, SEQUENCES).map(lambda ends: (min(ends), max(ends))))
DELIVERED = st.dictionaries(STREAMS, RANGES)
BOOKS = st.builds(
    Books,
    frames=st.dictionaries(
        STREAMS,
        st.builds(Totals, offered=COUNTS, delivered=COUNTS, dropped=COUNTS, pending=COUNTS),
    ),
    drops=st.dictionaries(STREAMS, st.dictionaries(TEXTS, COUNTS, max_size=8)),
    records=st.builds(RecordTotals, offered=COUNTS, committed=COUNTS, lost=COUNTS, pending=COUNTS),
    waiting_bytes=COUNTS,
)
CONTROLS: st.SearchStrategy[Control] = st.one_of(
    st.builds(
        Hello,
        protocol=OUR_MAJOR,
        schema_version=VERSIONS,
        run_id=TEXTS,
        run_name=TEXTS,
        producer=TEXTS,
        instance=TEXTS,
        incarnation=SEQUENCES,
        rank=COUNTS,
        world_size=POSITIVES,
        next_cseq=SEQUENCES,
        acked_cseq=COUNTS,
    ),
    st.builds(
        Welcome,
        committed_cseq=COUNTS,
        delivered=DELIVERED,
        credit_bytes=COUNTS,
        token=TEXTS,
        run_folder=maybe(TEXTS),
        acked_cseq=maybe(COUNTS),
    ),
    st.builds(Reject, reason=TEXTS),
    st.builds(Reset),
    st.builds(Attach, token=TEXTS),
    st.builds(Record, cseq=SEQUENCES),
    st.builds(Frame, stream=STREAMS, fseq=SEQUENCES),
    st.builds(Ack, cseq=COUNTS),
    st.builds(Credit, credit_bytes=COUNTS, delivered=DELIVERED),
    st.builds(
        Heartbeat,
        last_cseq=COUNTS,
        ingest_lag_ms=maybe(FLOATS),
        work_lag_ms=maybe(FLOATS),
        frames_waiting=COUNTS,
        books=maybe(BOOKS),
    ),
    st.builds(Fin, last_cseq=COUNTS, books=maybe(BOOKS)),
    st.builds(FinAck),
)


MANY_REASONS = {str(number): 1 for number in range(65)}


@settings(max_examples=300, deadline=None)
@given(CONTROLS)
def test_control_headers_come_back(control: Control) -> None:
    assert unpack(pack(control)) == control


def test_every_control_header_has_its_own_kind() -> None:
    kinds = [control.model_fields["kind"].default for control in get_args(Control)]
    assert len(kinds) == len(set(kinds)) == 12


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "shout"}, "kind"),
        ({}, "kind"),
        ([], "control header"),
        (None, "control header"),
        ({"kind": "record"}, "cseq"),
        ({"kind": "record", "cseq": 0}, "cseq"),
        ({"kind": "record", "cseq": 2**32}, "cseq"),
        ({"kind": "frame", "stream": "bulk", "fseq": 1}, "stream"),
        ({"kind": "frame", "stream": "val", "fseq": -1}, "fseq"),
        ({"kind": "ack", "cseq": 2**63}, "cseq"),
        ({"kind": "attach", "token": "x" * 1025}, "token"),
        ({"kind": "credit", "credit_bytes": 1, "delivered": {"train": [[3, 2]]}}, "empty range"),
        ({"kind": "credit", "credit_bytes": 1, "delivered": {"train": [[0, 2]]}}, "delivered"),
        ({"kind": "credit", "credit_bytes": 1, "delivered": {"bulk": []}}, "delivered"),
        ({"kind": "attach", "token": b"bytes"}, "unreadable"),
        ({"kind": "fin", "last_cseq": 1, "books": {"frames": {"bulk": {}}}}, "books"),
        ({"kind": "heartbeat", "books": {"waiting_bytes": -1}}, "books"),
        ({"kind": "heartbeat", "books": {"drops": {"val": MANY_REASONS}}}, "at most 64"),
    ],
)
def test_what_breaks_the_protocol_is_refused(fields: Any, said: str) -> None:
    with pytest.raises(ContractError, match=said):
        unpack(msgpack.packb(fields))


@pytest.mark.parametrize("part", [b"", b"\xc1", b"\x81\xa4kind", bytes(MAX_CONTROL_BYTES + 1)])
def test_what_is_no_msgpack_is_refused(part: bytes) -> None:
    with pytest.raises(ContractError):
        unpack(part)


def test_fields_of_a_newer_minor_version_are_left_out() -> None:
    assert unpack(msgpack.packb({"kind": "ack", "cseq": 3, "tomorrow": 1})) == Ack(cseq=3)


def test_a_long_list_of_gaps_still_fits() -> None:
    every_other = [(number, number) for number in range(1, 60_001, 2)]
    welcome = Welcome(committed_cseq=1, token="t", delivered={"train": every_other})
    assert unpack(pack(welcome)) == welcome
