"""Hypothesis strategies for every message of the contract."""

from typing import Any, get_args

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from shared.messages import (
    BatchFrame,
    BatchMetrics,
    DropNotice,
    DropReason,
    EpochEnded,
    FrameRef,
    Layer,
    Message,
    RunEnded,
    RunStarted,
    RunStatus,
    Sample,
    Totals,
)

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
COUNTS = st.integers(0, 2**63 - 1)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
POSITIVES = st.integers(1, 2**63 - 1)
SEQUENCES = st.integers(1, 2**32 - 1)
FLOATS = st.floats(allow_nan=False)
MPPS = st.floats(min_value=0, exclude_min=True, allow_nan=False)
STREAMS = st.sampled_from(["train", "val"])
LAYER_NAMES = st.from_regex(r"[A-Za-z0-9_]{1,64}", fullmatch=True)
PLAIN_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | FLOATS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


SAMPLES = st.builds(
    Sample,
    id=TEXTS,
    source=maybe(TEXTS),
    slide=maybe(TEXTS),
    row=maybe(NUMBERS),
    col=maybe(NUMBERS),
    mpp=maybe(MPPS),
)
RUN_STARTED = st.builds(
    RunStarted,
    run_id=TEXTS,
    run_name=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,119}", fullmatch=True),
    project=TEXTS,
    producer=TEXTS,
    incarnation=SEQUENCES,
    resumed_from_step=maybe(COUNTS),
    started_at_ns=COUNTS,
    device=TEXTS,
    world_size=POSITIVES,
    layers=st.lists(
        st.builds(Layer, name=LAYER_NAMES, kind=st.sampled_from(["attention", "activation"])),
        max_size=4,
        unique_by=lambda layer: layer.name,
    ).map(tuple),
    primary_layer=maybe(TEXTS),
    tile_size=maybe(POSITIVES),
    stain=st.sampled_from(["he", "ihc", "unknown"]),
    mpp=maybe(MPPS),
    analysis_freq=POSITIVES,
    frame_samples=POSITIVES,
    max_epochs=maybe(NUMBERS),
    total_steps=maybe(NUMBERS),
    config=st.dictionaries(TEXTS, PLAIN_VALUES, max_size=4),
)
BATCH_METRICS = st.builds(
    BatchMetrics,
    phase=STREAMS,
    epoch=COUNTS,
    batch_idx=COUNTS,
    global_step=COUNTS,
    phase_step=COUNTS,
    rank=COUNTS,
    captured_at_ns=COUNTS,
    batch_size=maybe(COUNTS),
    loss=maybe(FLOATS),
    mse=maybe(FLOATS),
    training_time_ms=maybe(FLOATS),
    inference_time_ms=maybe(FLOATS),
    data_time_ms=maybe(FLOATS),
    memory_mb=maybe(FLOATS),
    scalars=st.dictionaries(TEXTS, FLOATS, max_size=4),
    frame=maybe(st.builds(FrameRef, stream=STREAMS, fseq=SEQUENCES)),
)
EPOCH_ENDED = st.builds(
    EpochEnded, epoch=COUNTS, global_step=COUNTS, rank=COUNTS, captured_at_ns=COUNTS
)
DROP_NOTICE = st.tuples(SEQUENCES, SEQUENCES).flatmap(
    lambda ends: st.builds(
        DropNotice,
        stream=STREAMS,
        first_fseq=st.just(min(ends)),
        last_fseq=st.just(max(ends)),
        reason=st.sampled_from(get_args(DropReason)),
        captured_at_ns=COUNTS,
    )
)
RUN_ENDED = st.builds(
    RunEnded,
    status=st.sampled_from(get_args(RunStatus)),
    ended_at_ns=COUNTS,
    reason=maybe(TEXTS),
    totals=st.dictionaries(
        STREAMS,
        st.builds(Totals, offered=COUNTS, delivered=COUNTS, dropped=COUNTS, pending=COUNTS),
    ),
)


@st.composite
def _frames(draw: st.DrawFn) -> BatchFrame:
    count = draw(st.integers(0, 3))
    size = draw(st.tuples(st.integers(0, 6), st.integers(0, 6)))
    images = npst.arrays(np.uint8, (count, *size, 3))
    sides = st.integers(0, 5)
    maps = st.tuples(sides, sides).flatmap(lambda side: npst.arrays(np.float32, (count, *side)))
    groups = st.dictionaries(LAYER_NAMES, maps, max_size=3)
    return BatchFrame(
        phase=draw(STREAMS),
        epoch=draw(COUNTS),
        batch_idx=draw(COUNTS),
        global_step=draw(COUNTS),
        phase_step=draw(COUNTS),
        stream=draw(STREAMS),
        fseq=draw(SEQUENCES),
        captured_at_ns=draw(COUNTS),
        samples=tuple(draw(st.lists(SAMPLES, min_size=count, max_size=count))),
        input=draw(images),
        reconstruction=draw(images),
        attention=draw(groups),
        activation=draw(groups),
    )


BATCH_FRAME = _frames()
CRITICAL = st.one_of(RUN_STARTED, BATCH_METRICS, EPOCH_ENDED, DROP_NOTICE, RUN_ENDED)
MESSAGES: st.SearchStrategy[Message] = st.one_of(CRITICAL, BATCH_FRAME)


def same(one: Message, other: Message) -> bool:
    """Whether two messages hold the same values, arrays included (NaN equals NaN)."""
    if type(one) is not type(other):
        return False
    return all(_same(getattr(one, name), getattr(other, name)) for name in type(one).model_fields)


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (
            one.dtype == other.dtype
            and one.shape == other.shape
            and np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, float) and one != one:
        return isinstance(other, float) and other != other
    return bool(one == other)
