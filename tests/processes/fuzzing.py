"""Messages of peers that mean no good: random, mutated, cut short, in far too many parts.

Everything is drawn from a generator that the test seeds. None of it is a conversation that a
correct peer might have: whoever opens a run here sends nothing that could stand in one.
"""

import random
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgpack

from shared.codec import encode
from shared.protocol import (
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
    Reset,
    Welcome,
    pack,
)
from tests.builders import make_batch, make_drop, make_frame, make_run_ended, make_run_started

Parts = list[bytes]

GIB: Final = 1 << 30
LAST: Final = 2**32 - 1
"""The largest sequence number."""
_MOST_PARTS: Final = 3000

HELLO: Final = Hello(
    run_id="hostile", run_name="hostile", producer="x", instance="x", incarnation=1, next_cseq=1
)
FROM_PRODUCER: Final[tuple[Control, ...]] = (
    Record(cseq=1),
    Record(cseq=2),
    Record(cseq=LAST),
    Frame(stream="train", fseq=1),
    Frame(stream="val", fseq=LAST),
    Fin(last_cseq=1),
    Fin(last_cseq=LAST),
    Heartbeat(last_cseq=LAST),
    Attach(token="00000000000000000000000000000000"),
)
# A Welcome makes an analyzer of whoever says it: what it acknowledges then is believed.
FROM_ANALYZER: Final[tuple[Control, ...]] = (
    Ack(cseq=1),
    Ack(cseq=LAST),
    Credit(credit_bytes=LAST, delivered={"train": [(1, LAST)]}),
    Heartbeat(frames_waiting=0, ingest_lag_ms=1e300),
    FinAck(),
    Reset(),
)
_FOREIGN: Final = (Welcome(committed_cseq=LAST, token="t"), Ack(cseq=3), FinAck(), Reset())
_MESSAGES: Final = tuple(
    [bytes(part) for part in encode(message)]
    for message in (
        make_run_started(),
        make_batch(1),
        make_frame(1),
        make_drop(),
        make_run_ended(),
    )
)


def from_producer(generator: random.Random) -> Parts:
    """A message toward an analyzer that is none, or none that it can have any use for."""
    return _draw(generator, FROM_PRODUCER + _FOREIGN, encoded=True)


def from_analyzer(generator: random.Random) -> Parts:
    """A message toward a trainer that no analyzer would send to one that it never welcomed."""
    return _draw(generator, FROM_ANALYZER + FROM_PRODUCER, encoded=False)


def claims_a_gib() -> Parts:
    """A frame whose header says that an array of 1 GiB follows."""
    shape = [1024, 1024, 1024, 1]
    header: dict[str, Any] = msgpack.unpackb(_MESSAGES[2][0])
    header["a"] = [["input", "|u1", shape, GIB]]
    return [pack(Frame(stream="train", fseq=1)), msgpack.packb(header), b"x"]


def _draw(generator: random.Random, controls: Sequence[Control], *, encoded: bool) -> Parts:
    header = pack(generator.choice(controls))
    kinds: list[Callable[[random.Random, bytes], Parts]] = [
        _random,
        _mutated_header,
        _wrong_parts,
        _cut_short,
        _nonsense,
    ]
    if encoded:
        kinds += [_mutated_message, _misplaced_message]
    if generator.random() < 0.002:
        return _many_parts(generator, header)
    return generator.choice(kinds)(generator, header)


def _random(generator: random.Random, _: bytes) -> Parts:
    return [_bytes(generator, 200) for _ in range(generator.randrange(1, 4))]


def _mutated_header(generator: random.Random, header: bytes) -> Parts:
    return [mutate(generator, header)]


def _wrong_parts(generator: random.Random, header: bytes) -> Parts:
    return [header, *_random(generator, header)]


def _cut_short(generator: random.Random, header: bytes) -> Parts:
    return [header[: generator.randrange(len(header))], *generator.choice(_MESSAGES)[:1]]


def _nonsense(generator: random.Random, header: bytes) -> Parts:
    """What a reader of msgpack may stumble over: depth, claims, types, emptiness."""
    return [
        generator.choice(
            [
                b"",
                b"\x91" * generator.randrange(1, 5000),
                b"\xdd\xff\xff\xff\xff",
                b"\xdf\xff\xff\xff\xff" + header,
                b"\xc6\xff\xff\xff\xff",
                b"\x81\xa4kind\xc0",
                msgpack.packb({"kind": ["hello"]}),
                msgpack.packb({"kind": "record", "cseq": 1e308}),
                msgpack.packb({"kind": "frame", "stream": "train" * 50, "fseq": -1}),
                msgpack.packb({"kind": "ack", "cseq": True, "more": [[]] * 500}),
            ]
        )
    ]


def _mutated_message(generator: random.Random, header: bytes) -> Parts:
    first, *arrays = generator.choice(_MESSAGES)
    return [header, mutate(generator, first), *arrays]


def _misplaced_message(generator: random.Random, _: bytes) -> Parts:
    """A frame as a record, a batch as a frame, arrays left out or too many."""
    _, batch, frame, *_ = _MESSAGES
    record, sent = pack(Record(cseq=1)), pack(Frame(stream="train", fseq=2))
    return generator.choice(
        [[record, *frame], [sent, *batch], [sent, *frame[:-1]], [sent, *frame, b"more"], [record]]
    )


def _many_parts(generator: random.Random, header: bytes) -> Parts:
    return [header] + [b"x"] * generator.randrange(70, _MOST_PARTS)


def mutate(generator: random.Random, data: bytes) -> bytes:
    """`data` with some bytes flipped, put in or taken out."""
    changed = bytearray(data)
    for _ in range(generator.randrange(1, 5)):
        at = generator.randrange(len(changed) + 1)
        choice = generator.randrange(3)
        if choice == 0:
            changed.insert(at, generator.randrange(256))
        elif at < len(changed):
            if choice == 1:
                changed[at] ^= 1 << generator.randrange(8)
            else:
                del changed[at]
    return bytes(changed)


def _bytes(generator: random.Random, most: int) -> bytes:
    return generator.randbytes(generator.randrange(most))
