"""Frames written and read back; which steps are kept."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from analyzer_service.sinks.frames import is_detailed, read_frame, write_frame
from tests.builders import make_frame


def test_a_frame_comes_back_as_it_was(tmp_path: Path) -> None:
    frame = make_frame(100)
    name, size = write_frame(tmp_path, frame)
    assert name == "frames/train_000100.npz"
    assert size == (tmp_path / name).stat().st_size
    back = read_frame(tmp_path, name)
    assert back is not None
    arrays = ("input", "reconstruction", "attention", "activation")
    assert back.model_dump(exclude={*arrays}) == frame.model_dump(exclude={*arrays})
    np.testing.assert_array_equal(back.input, frame.input)
    np.testing.assert_array_equal(back.reconstruction, frame.reconstruction)
    for layer, maps in frame.attention.items():
        np.testing.assert_array_equal(back.attention[layer], maps)
    assert list(back.attention) == list(frame.attention)
    assert list(back.activation) == list(frame.activation)
    assert [path.name for path in (tmp_path / "frames").iterdir()] == ["train_000100.npz"]


def test_later_starts_and_other_ranks_have_files_of_their_own(tmp_path: Path) -> None:
    name, _ = write_frame(tmp_path, make_frame(7, phase="val", rank=1), incarnation=2)
    assert name == "frames/val_000007_i2_r1.npz"


def test_a_file_that_is_gone_or_torn_is_none(tmp_path: Path) -> None:
    name, size = write_frame(tmp_path, make_frame(1))
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: size // 2])
    assert read_frame(tmp_path, name) is None
    (tmp_path / name).unlink()
    assert read_frame(tmp_path, name) is None


def test_no_damage_is_more_than_a_missing_frame(tmp_path: Path) -> None:
    name, _ = write_frame(tmp_path, make_frame(1))
    whole = (tmp_path / name).read_bytes()
    heads = [found.start() for found in re.finditer(b"PK|NUMPY", whole)]
    generator = np.random.default_rng(7)
    read = []
    for _ in range(400):
        broken = bytearray(whole)
        for at in generator.choice(heads, 3) + generator.integers(0, 120, 3):
            broken[min(at, len(whole) - 1)] ^= int(generator.integers(1, 256))
        (tmp_path / name).write_bytes(broken)
        with warnings.catch_warnings(action="ignore"):
            read.append(read_frame(tmp_path, name))
    assert read.count(None) > 300


@pytest.mark.parametrize(
    ("phase", "step", "index", "expected"),
    [
        ("train", 100, 99, True),
        ("train", 101, 0, False),
        ("train", 0, 0, False),
        ("val", 57, 4, True),
        ("val", 100, 5, False),
    ],
)
def test_detailed_steps(phase: str, step: int, index: int, *, expected: bool) -> None:
    assert is_detailed(phase, step, index, analysis_freq=100) is expected
