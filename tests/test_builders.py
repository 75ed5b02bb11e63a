"""The builders promise that numbers fit together: other tests rely on it."""

import numpy as np

from shared.codec import decode_payload
from shared.messages import BatchFrame
from tests.builders import make_batch, make_frame, make_recorded
from tests.shared.strategies import same


def test_a_batch_names_its_frame_and_counts_epochs_of_ten() -> None:
    batch, frame = make_batch(13), make_frame(13)
    assert (batch.epoch, batch.batch_idx, batch.global_step) == (1, 2, 13)
    assert batch.frame is not None
    assert (batch.frame.stream, batch.frame.fseq) == (frame.stream, frame.fseq)
    assert make_batch(3, phase="val").global_step == 20


def test_a_frame_is_always_the_same_and_differs_from_others() -> None:
    assert same(make_frame(13), make_frame(13))
    assert not np.array_equal(make_frame(13).input, make_frame(14).input)
    assert not np.array_equal(make_frame(13).input, make_frame(13, phase="val").input)


def test_frames_look_like_what_a_model_gives() -> None:
    frame = make_frame(count=3, size=64)
    assert frame.input.shape == frame.reconstruction.shape == (3, 64, 64, 3)
    assert {name: maps.shape for name, maps in frame.attention.items()} == {
        "bam_384": (3, 16, 16),
        "bam_16": (3, 8, 8),
    }
    for maps in frame.attention.values():
        assert 0 < maps.min() < maps.max() < 1
    assert frame.activation["encoder_kan"].min() >= 0
    assert frame.input[..., 2].mean() > frame.input[..., 1].mean()


def test_a_recorded_frame_carries_its_stream_and_number() -> None:
    item = make_recorded(make_frame(7, phase="val"))
    assert (item.channel, item.sequence) == ("val", 7)
    message = decode_payload(item.payload)
    assert isinstance(message, BatchFrame)
    assert same(message, make_frame(7, phase="val"))
