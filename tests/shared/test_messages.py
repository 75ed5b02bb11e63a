from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from shared.messages import BatchFrame, RunStarted
from tests.builders import (
    LAYERS,
    make_batch,
    make_drop,
    make_epoch_ended,
    make_frame,
    make_run_ended,
    make_run_started,
    make_samples,
)


def images(*shape: int, dtype: Any = np.uint8) -> np.ndarray[Any, Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"input": images(2, 32, 32, 4)}, "input must be uint8 (N, H, W, 3)"),
        ({"input": images(2, 32, 32)}, "input must be uint8 (N, H, W, 3)"),
        ({"input": images(2, 32, 32, 3, dtype=np.float32)}, "input must be uint8"),
        ({"reconstruction": images(2, 16, 32, 3)}, "differ"),
        ({"samples": make_samples(3)}, "3 samples are described, 2 images came"),
        ({"attention": {"a": images(2, 8, 8, dtype=np.float64)}}, "a must be float32 (2, h, w)"),
        ({"attention": {"a": images(2, 8, dtype=np.float32)}}, "a must be float32 (2, h, w)"),
        ({"activation": {"a": images(3, 8, 8, dtype=np.float32)}}, "a must be float32 (2, h, w)"),
        ({"activation": {"a.b": images(2, 8, 8, dtype=np.float32)}}, "'a.b' must be letters"),
        ({"attention": {"a": images(2, 8, 8, dtype=">f4")}}, "a must be float32 (2, h, w)"),
        ({"input": [[1]]}, "ndarray"),
        ({"fseq": 0}, "greater than or equal to 1"),
        ({"stream": "test"}, "'train' or 'val'"),
    ],
)
def test_a_frame_that_does_not_fit_together_is_refused(
    overrides: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        make_frame(**overrides)
    assert said in str(caught.value)


def test_a_frame_needs_no_maps() -> None:
    frame = make_frame(attention={}, activation={})
    assert isinstance(frame, BatchFrame)
    assert frame.attention == frame.activation == {}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"run_name": "../up"}, "not a plain file name"),
        ({"run_name": ""}, "not a plain file name"),
        ({"layers": (*LAYERS, LAYERS[0])}, "must differ"),
        ({"layers": ({"name": "a b", "kind": "attention"},)}, "letters, digits"),
        ({"layers": ({"name": "a", "kind": "head"},)}, "'attention' or 'activation'"),
        ({"incarnation": 0}, "greater than or equal to 1"),
        ({"stain": "pas"}, "'he', 'ihc' or 'unknown'"),
        ({"mpp": float("nan")}, "greater than 0"),
        ({"tile_size": 2**63}, "less than"),
        ({"producer": "r" * 1025}, "at most 1024 characters"),
    ],
)
def test_a_run_that_cannot_be_is_refused(overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError) as caught:
        make_run_started(**overrides)
    assert said in str(caught.value)


def test_the_configuration_is_at_most_32_levels_deep() -> None:
    def config(levels: int, wrap: Any) -> dict[str, Any]:
        value: Any = 1
        for _ in range(levels - 1):
            value = wrap(value)
        return {"a": value}

    for wrap in (lambda value: [value], lambda value: {"a": value}, lambda value: (value, 1)):
        assert isinstance(make_run_started(config=config(32, wrap)), RunStarted)
        with pytest.raises(ValidationError, match="nested more than 32 levels"):
            make_run_started(config=config(33, wrap))
    circular: dict[str, Any] = {}
    circular.update(a=circular, b=circular)
    with pytest.raises(ValidationError, match="nested more than 32 levels"):
        make_run_started(config={"a": circular})


def test_a_drop_notice_names_one_frame_at_least() -> None:
    assert make_drop(4, 4).last_fseq == 4
    with pytest.raises(ValidationError, match=r"empty range 4\.\.3"):
        make_drop(4, 3)


@pytest.mark.parametrize(
    "message",
    [
        make_run_started(),
        make_batch(),
        make_frame(),
        make_drop(),
        make_epoch_ended(),
        make_run_ended(),
    ],
    ids=lambda message: message.type,
)
def test_messages_cannot_be_changed(message: Any) -> None:
    with pytest.raises(ValidationError, match="frozen"):
        message.type = "other"
