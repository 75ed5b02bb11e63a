"""Messages as each version wrote them: later versions must read them the same.

The files under ``golden/`` hold `join(encode(message))` in hexadecimal, in lines of 80 digits.
"""

from pathlib import Path

import msgpack
import numpy as np
import pytest

from shared.codec import decode_payload, encode, join
from shared.messages import (
    SCHEMA_VERSION,
    BatchFrame,
    BatchMetrics,
    DropNotice,
    EpochEnded,
    FrameRef,
    Layer,
    Message,
    RecordTotals,
    RunEnded,
    RunStarted,
    Sample,
    Totals,
)
from tests.shared.strategies import same

GOLDEN = Path(__file__).parent / "golden"
IMAGES = np.arange(1 * 2 * 2 * 3, dtype=np.uint8).reshape(1, 2, 2, 3)
MAPS = np.array([[[0.0, 0.25, 1.0]]], dtype=np.float32)

MESSAGES: dict[str, Message] = {
    "run_started": RunStarted(
        run_id="8d71ffe0",
        run_name="demo",
        project="histopath-kan-auto",
        producer="rank0",
        incarnation=2,
        resumed_from_step=40,
        started_at_ns=1_760_000_000_123_456_789,
        device="cpu",
        world_size=2,
        layers=(
            Layer(name="bam_384", kind="attention"),
            Layer(name="encoder_kan", kind="activation"),
        ),
        primary_layer="bam_384",
        tile_size=128,
        stain="ihc",
        mpp=0.5,
        analysis_freq=100,
        frame_samples=4,
        max_epochs=10,
        total_steps=None,
        config={"lr": 0.001, "sizes": [384, 16], "färbung": {"dab": True}},
    ),
    "batch_metrics": BatchMetrics(
        phase="train",
        epoch=0,
        batch_idx=6,
        global_step=7,
        phase_step=7,
        rank=1,
        captured_at_ns=1_760_000_001_000_000_000,
        batch_size=16,
        loss=0.125,
        mse=0.0625,
        training_time_ms=31.5,
        inference_time_ms=None,
        data_time_ms=2.25,
        memory_mb=640.0,
        scalars={"lr": 0.001},
        frame=FrameRef(stream="train", fseq=7),
    ),
    "epoch_ended": EpochEnded(
        epoch=0, global_step=7, rank=1, captured_at_ns=1_760_000_002_000_000_000
    ),
    "drop_notice": DropNotice(
        stream="val",
        first_fseq=3,
        last_fseq=4_294_967_295,
        reason="queue_full",
        captured_at_ns=1_760_000_003_000_000_000,
    ),
    "run_ended": RunEnded(
        status="interrupted",
        ended_at_ns=1_760_000_004_000_000_000,
        reason="SIGTERM",
        totals={"train": Totals(offered=7, delivered=4, dropped=2, pending=1)},
        records=RecordTotals(offered=12, committed=9, lost=1, pending=2),
    ),
    "batch_frame": BatchFrame(
        phase="val",
        epoch=0,
        batch_idx=2,
        global_step=7,
        phase_step=3,
        rank=0,
        stream="val",
        fseq=3,
        captured_at_ns=1_760_000_005_000_000_000,
        samples=(Sample(id="tile-7", source="a.svs", slide="CMU-1", row=256, col=-8, mpp=0.499),),
        input=IMAGES,
        reconstruction=IMAGES[:, ::-1],
        attention={"bam_384": MAPS},
        activation={"encoder_kan": 2 * MAPS},
    ),
}


# What each version knew of them.
WRITTEN: dict[tuple[int, int], dict[str, Message]] = {
    (1, 0): MESSAGES | {"run_ended": MESSAGES["run_ended"].model_copy(update={"records": None})},
    (1, 1): MESSAGES,
}


def golden(version: tuple[int, int], name: str) -> bytes:
    file = GOLDEN / f"v{version[0]}.{version[1]}" / f"{name}.hex"
    return bytes.fromhex(file.read_text(encoding="ascii"))


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("version", WRITTEN)
def test_every_version_is_still_read(version: tuple[int, int], name: str) -> None:
    assert same(decode_payload(golden(version, name)), WRITTEN[version][name])


@pytest.mark.parametrize("name", MESSAGES)
def test_this_version_still_writes_the_same_bytes(name: str) -> None:
    # A change of the contract raises SCHEMA_VERSION and adds a folder of its own.
    assert join(encode(MESSAGES[name])) == golden(SCHEMA_VERSION, name)


def test_the_golden_frame_is_what_its_bytes_say() -> None:
    # Read without the codec: a msgpack map, then the arrays in the order of its index.
    data = golden((1, 0), "batch_frame")
    unpacker = msgpack.Unpacker()
    unpacker.feed(data)
    header = unpacker.unpack()
    assert header["v"] == [1, 0]
    assert header["a"] == [
        ["input", "|u1", [1, 2, 2, 3], 12],
        ["reconstruction", "|u1", [1, 2, 2, 3], 12],
        ["attention/bam_384", "<f4", [1, 1, 3], 12],
        ["activation/encoder_kan", "<f4", [1, 1, 3], 12],
    ]
    arrays = data[unpacker.tell() :]
    assert arrays[:12] == bytes(range(12))
    assert arrays[12:24] == bytes([6, 7, 8, 9, 10, 11, 0, 1, 2, 3, 4, 5])
    # IEEE 754: 0.25 is 3e800000, 0.5 is 3f000000, 1 is 3f800000, 2 is 40000000
    assert arrays[24:36].hex() == "00000000" + "0000803e" + "0000803f"
    assert arrays[36:].hex() == "00000000" + "0000003f" + "00000040"
