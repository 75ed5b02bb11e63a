"""Control headers as each version wrote them: later versions must read them the same.

The files under ``golden/protocol/`` hold `pack(control)` in hexadecimal, in lines of 80 digits.
Those of 1.0 were written by that version.
"""

from pathlib import Path
from typing import Any, get_args

import msgpack
import pytest

from shared.errors import ContractError
from shared.messages import Books, RecordTotals, Totals
from shared.protocol import (
    PROTOCOL_VERSION,
    Ack,
    Attach,
    Control,
    Credit,
    Fin,
    FinAck,
    Frame,
    Heartbeat,
    Hello,
    OtherMajor,
    Record,
    Reject,
    Reset,
    Welcome,
    pack,
    unpack,
)

GOLDEN = Path(__file__).parent / "golden" / "protocol"
BOOKS = Books(
    frames={
        "train": Totals(offered=7, delivered=4, dropped=2, pending=1),
        "val": Totals(offered=1, delivered=1),
    },
    drops={"train": {"queue_full": 1, "closed": 1}, "val": {}},
    records=RecordTotals(offered=12, committed=9, lost=1, pending=2),
    waiting_bytes=65536,
)


def headers(version: tuple[int, int]) -> dict[str, Control]:
    """What `version` wrote; books came with 1.1, what is known to be committed with 1.2."""
    books = BOOKS if version >= (1, 1) else None
    newest = version >= (1, 2)
    return {
        "hello": Hello(
            protocol=version,
            schema_version=version,
            run_id="8d71ffe0",
            run_name="demo",
            producer="rank1",
            instance="5f0c2a",
            incarnation=2,
            rank=1,
            world_size=2,
            next_cseq=8,
            acked_cseq=5 if newest else 0,
        ),
        "welcome": Welcome(
            committed_cseq=7,
            delivered={"train": [(1, 3), (5, 5)], "val": [(1, 1)]},
            credit_bytes=1 << 20,
            token="c0ffee",
            run_folder="/runs/auto_analysis_demo",
            acked_cseq=5 if newest else None,
        ),
        "reject": Reject(reason="producer 'rank1' of run 'demo' is already connected"),
        "reset": Reset(),
        "attach": Attach(token="c0ffee"),
        "record": Record(cseq=2**32 - 1),
        "frame": Frame(stream="val", fseq=3),
        "ack": Ack(cseq=300),
        "credit": Credit(credit_bytes=49152, delivered={"train": [(4, 4)]}),
        "heartbeat_analyzer": Heartbeat(ingest_lag_ms=1.5, work_lag_ms=250.0, frames_waiting=3),
        "heartbeat_producer": Heartbeat(books=books, last_cseq=9 if newest else 0),
        "fin": Fin(last_cseq=12, books=books),
        "finack": FinAck(),
    }


VERSIONS = [(1, 0), (1, 1), (1, 2)]
NAMES = sorted(headers(PROTOCOL_VERSION))


def golden(version: tuple[int, int], name: str) -> bytes:
    file = GOLDEN / f"v{version[0]}.{version[1]}" / f"{name}.hex"
    return bytes.fromhex(file.read_text(encoding="ascii"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", VERSIONS)
def test_every_version_is_still_read(version: tuple[int, int], name: str) -> None:
    assert unpack(golden(version, name)) == headers(version)[name]


@pytest.mark.parametrize("name", NAMES)
def test_this_version_still_writes_the_same_bytes(name: str) -> None:
    # A change of a header raises PROTOCOL_VERSION and adds a folder of its own.
    assert VERSIONS[-1] == PROTOCOL_VERSION
    assert pack(headers(PROTOCOL_VERSION)[name]) == golden(PROTOCOL_VERSION, name)


def test_every_kind_of_header_has_golden_bytes() -> None:
    kept = {type(control) for control in headers(PROTOCOL_VERSION).values()}
    assert kept == set(get_args(Control))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", VERSIONS)
def test_fields_of_a_newer_minor_version_are_left_out(version: tuple[int, int], name: str) -> None:
    fields: dict[str, Any] = msgpack.unpackb(golden(version, name))
    assert unpack(msgpack.packb(with_unknown_fields(fields))) == headers(version)[name]


def with_unknown_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The same with a field that nobody knows yet, at every level."""
    inner = {
        key: with_unknown_fields(value) if key in ("books", "records") and value else value
        for key, value in fields.items()
    }
    return inner | {"tomorrow": {"deep": [1, 2.5, None, "text"]}}


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "hello", "protocol": [2, 0]},
        {"kind": "hello", "protocol": [0, 9], "run": {"id": 7}, "who": ["rank0"]},
        {"kind": "hello", "protocol": [2, 0], "run_id": 7, "run_name": None, "next_cseq": -1},
    ],
)
def test_a_greeting_of_another_major_version_is_known_as_such(fields: dict[str, Any]) -> None:
    with pytest.raises(OtherMajor, match=r"version [20]\.") as refused:
        unpack(msgpack.packb(fields))
    assert refused.value.theirs == tuple(fields["protocol"])


@pytest.mark.parametrize("version", [None, [2], [2, 0, 0], [2.5, 1], "2.0", [[], 0]])
def test_a_greeting_without_a_version_is_no_greeting(version: Any) -> None:
    fields = msgpack.unpackb(golden((1, 0), "hello")) | {"protocol": version}
    with pytest.raises(ContractError) as refused:
        unpack(msgpack.packb(fields))
    assert not isinstance(refused.value, OtherMajor)
