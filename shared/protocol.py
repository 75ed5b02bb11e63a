"""What producer and analyzer say to each other on the sockets, around the messages.

Whatever a later major version changes: a Hello has its ``kind`` and ``protocol``, a Reject its
``kind`` and ``reason``, so that two versions that do not understand each other can say so.

Each ZeroMQ message is one control header (msgpack), followed by the parts of an encoded
message for `Record` and `Frame`. `unpack` returns a header or raises `ContractError`.

Order of a connection::

    producer                                analyzer
    ctl   Hello ───────────────────────────►
          ◄──────────────────── Welcome | Reject
    ctl   Record(cseq) + message ──────────►  commit
          ◄──────────────────────────── Ack(cseq)
    bulk  Attach(token) ───────────────────►
    bulk  Frame(stream, fseq) + message ───►  analyze, commit
          ◄──────────── Credit(returned bytes, delivered fseqs)
    both  Heartbeat
    ctl   Fin ─────────────────────────────►  drain
          ◄──────────────────────────── FinAck
    Reset: the analyzer does not know this connection; say Hello again.
"""

from typing import Annotated, Any, Final, Literal

import msgpack
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from shared.codec import Buffer
from shared.errors import ContractError
from shared.messages import (
    SCHEMA_VERSION,
    Books,
    Count,
    Positive,
    SequenceNumber,
    ShortText,
    Stream,
)

PROTOCOL_VERSION: Final = (1, 2)
MAX_CONTROL_BYTES: Final = 1 << 20
HEARTBEAT_INTERVAL_S: Final = 1.0
SILENCE_LIMIT_S: Final = 5.0
DEFAULT_CREDIT_BYTES: Final = 64 << 20
_MAX_RANGES: Final = 1 << 17


def _ordered(numbers: tuple[int, int]) -> tuple[int, int]:
    if numbers[1] < numbers[0]:
        raise ValueError(f"empty range {numbers[0]}..{numbers[1]}")
    return numbers


Ranges = list[Annotated[tuple[SequenceNumber, SequenceNumber], AfterValidator(_ordered)]]


class OtherMajor(ContractError):
    """Somebody, `who`, greets in a protocol of another major version, `theirs`."""

    def __init__(self, who: str, theirs: tuple[int, int]) -> None:
        self.who, self.theirs = who, theirs
        super().__init__(f"{who} greets in protocol version {dotted(theirs)}")


def dotted(version: tuple[int, int]) -> str:
    """A version as people write it.

    Examples
    --------
    >>> dotted((1, 0))
    '1.0'
    """
    return ".".join(map(str, version))


class _Control(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Hello(_Control):
    """A producer asks to be heard. `instance` tells two processes of one identity apart.

    `acked_cseq` (from 1.2) is what it knows to be committed.
    """

    kind: Literal["hello"] = "hello"
    protocol: tuple[int, int] = PROTOCOL_VERSION
    schema_version: tuple[int, int] = SCHEMA_VERSION
    run_id: ShortText
    run_name: ShortText
    producer: ShortText
    instance: ShortText
    incarnation: SequenceNumber
    rank: Count = 0
    world_size: Positive = 1
    next_cseq: SequenceNumber
    acked_cseq: Count = 0


class Welcome(_Control):
    """The analyzer listens; it holds everything up to `committed_cseq` and these frames.

    `acked_cseq` (from 1.2) is that of the Hello that it answers. One that holds less has lost
    something; one that holds less than was acknowledged since is an answer that comes late.
    """

    kind: Literal["welcome"] = "welcome"
    committed_cseq: Count
    delivered: dict[Stream, Ranges] = Field(default_factory=dict)
    credit_bytes: Count = DEFAULT_CREDIT_BYTES
    token: ShortText
    run_folder: ShortText | None = None
    acked_cseq: Count | None = None


class Reject(_Control):
    """The analyzer refuses this producer for good; `reason` is a sentence for people."""

    kind: Literal["reject"] = "reject"
    reason: ShortText


class Reset(_Control):
    """The analyzer does not know this connection (it restarted): say Hello again."""

    kind: Literal["reset"] = "reset"


class Attach(_Control):
    """First word on `bulk`: binds it to the `ctl` connection that got `token`."""

    kind: Literal["attach"] = "attach"
    token: ShortText


class Record(_Control):
    """A critical message follows; `cseq` is dense from 1 in each incarnation."""

    kind: Literal["record"] = "record"
    cseq: SequenceNumber


class Frame(_Control):
    """A batch frame follows; `fseq` numbers the frames offered in its stream, from 1."""

    kind: Literal["frame"] = "frame"
    stream: Stream
    fseq: SequenceNumber


class Ack(_Control):
    """Every record up to `cseq` is committed."""

    kind: Literal["ack"] = "ack"
    cseq: Count


class Credit(_Control):
    """These frames are committed with their results; `credit_bytes` may be sent again."""

    kind: Literal["credit"] = "credit"
    credit_bytes: Count
    delivered: dict[Stream, Ranges] = Field(default_factory=dict)


class Heartbeat(_Control):
    """A sign of life. The analyzer adds how far behind it is, a producer its books (from 1.1).

    A producer's `last_cseq` (from 1.2) is the last record that it sent. Without it, records that
    break off with a connection would be missed only when the next one comes.
    """

    kind: Literal["heartbeat"] = "heartbeat"
    ingest_lag_ms: float | None = None
    work_lag_ms: float | None = None
    frames_waiting: Count = 0
    books: Books | None = None
    last_cseq: Count = 0


class Fin(_Control):
    """The producer has nothing more to send; its last record was `last_cseq`.

    `books` (from 1.1) are its books at this moment.
    """

    kind: Literal["fin"] = "fin"
    last_cseq: Count
    books: Books | None = None


class FinAck(_Control):
    """Every record is committed and every frame that arrived is analyzed and committed."""

    kind: Literal["finack"] = "finack"


Control = (
    Hello
    | Welcome
    | Reject
    | Reset
    | Attach
    | Record
    | Frame
    | Ack
    | Credit
    | Heartbeat
    | Fin
    | FinAck
)
_ADAPTER: Final[TypeAdapter[Control]] = TypeAdapter(Annotated[Control, Field(discriminator="kind")])


def pack(control: Control) -> bytes:
    """Bytes of a control header."""
    packed: bytes = msgpack.packb(control.model_dump())
    return packed


def unpack(part: Buffer) -> Control:
    """Control header of bytes.

    Raises
    ------
    OtherMajor
        On the Hello of another major version, whatever else it holds.
    ContractError
        On anything else that is no control header.
    """
    nbytes = memoryview(part).nbytes
    if nbytes > MAX_CONTROL_BYTES:
        raise ContractError(f"control header beyond {MAX_CONTROL_BYTES} bytes")
    try:
        # msgpack allocates a list as long as the bytes claim, before it reads one element.
        fields: Any = msgpack.unpackb(
            part, max_array_len=min(_MAX_RANGES, nbytes), max_bin_len=0, max_ext_len=0
        )
        _check_major(fields)
        return _ADAPTER.validate_python(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ContractError(f"control header: {first['loc']}: {first['msg']}") from None
    except ContractError:
        raise
    except Exception as error:
        raise ContractError(f"unreadable control header: {type(error).__name__}") from error


def _check_major(fields: Any) -> None:
    if not isinstance(fields, dict) or fields.get("kind") != "hello":
        return
    version = fields.get("protocol")
    if not isinstance(version, list) or [type(number) for number in version] != [int, int]:
        return
    if version[0] != PROTOCOL_VERSION[0]:
        names = [str(fields.get(key, "?"))[:100] for key in ("run_name", "producer")]
        raise OtherMajor(": ".join(names), (version[0], version[1]))
