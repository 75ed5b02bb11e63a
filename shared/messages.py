"""Everything that a producer tells the analyzer about a run, one class a message.

A change that adds an optional field or array raises `SCHEMA_VERSION`'s minor number, any other
the major one. Readers leave out what a newer minor version adds, and refuse a newer major one.

Times named ``_at_ns`` are nanoseconds since the Unix epoch; durations are milliseconds.
"""

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.errors import ConfigurationError
from shared.naming import check_run_name, is_layer_name

SCHEMA_VERSION = (1, 1)

Phase = Literal["train", "val"]
Stream = Literal["train", "val"]
Stain = Literal["he", "ihc", "unknown"]
LayerKind = Literal["attention", "activation"]
RunStatus = Literal["finished", "failed", "interrupted"]
DropReason = Literal[
    "queue_full",  # the producer's byte budget for waiting frames was spent
    "no_slot",  # no pinned copy slot was free
    "changed_in_place",  # a tensor was written to before it could be copied
    "peer_lost",  # sent, never confirmed, and no longer held for resending
    "too_large",  # beyond the size limit of one message
    "capture_failed",  # reading the tensors raised
    "closed",  # still waiting when the producer had to end
]

Number = Annotated[int, Field(ge=-(2**63), lt=2**63)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1, lt=2**63)]
SequenceNumber = Annotated[int, Field(ge=1, lt=2**32)]  # recordings hold 32 bits
ShortText = Annotated[str, Field(max_length=1024)]
Reasons = Annotated[dict[ShortText, Count], Field(max_length=64)]
MAX_CONFIG_DEPTH = 32
UInt8Images = NDArray[np.uint8]
Float32Maps = NDArray[np.float32]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Layer(_Part):
    """One watched layer: an attention gate, or a KAN layer's activation."""

    name: ShortText
    kind: LayerKind

    @model_validator(mode="after")
    def _plain_name(self) -> "Layer":
        if not is_layer_name(self.name):
            raise ValueError(f"layer name {self.name!r} must be letters, digits and '_'")
        return self


class FrameRef(_Part):
    """Which frame belongs to a batch: its stream and its number in that stream, from 1."""

    stream: Stream
    fseq: SequenceNumber


class Sample(_Part):
    """Where one tile of a batch comes from.

    `row` and `col` are the tile's top left corner in pixels of `source`; `mpp` is micrometers
    per pixel. What is not known is None.
    """

    id: ShortText
    source: ShortText | None = None
    slide: ShortText | None = None
    row: Number | None = None
    col: Number | None = None
    mpp: float | None = Field(default=None, gt=0)


class Totals(_Part):
    """What a producer counted in one stream: ``offered = delivered + dropped + pending``."""

    offered: Count = 0
    delivered: Count = 0
    dropped: Count = 0
    pending: Count = 0


class RecordTotals(_Part):
    """What a producer counted of its critical records: ``offered = committed + lost + pending``.

    `lost` is what could be kept neither in memory nor in a file, or made no message.
    """

    offered: Count = 0
    committed: Count = 0
    lost: Count = 0
    pending: Count = 0


class Books(_Part):
    """Everything that one start of a producer counted, all at one moment.

    `drops` are by stream and reason, any reason. `waiting_bytes` is what waits in its memory.
    """

    frames: dict[Stream, Totals] = Field(default_factory=dict)
    drops: dict[Stream, Reasons] = Field(default_factory=dict)
    records: RecordTotals = Field(default_factory=RecordTotals)
    waiting_bytes: Count = 0


class RunStarted(_Part):
    """The run and its fixed facts; the first critical record of each incarnation.

    `incarnation` tells the starts of one run apart: 1, then a larger number for each resume.
    `resumed_from_step` is the last `global_step` that the checkpoint holds; rows of earlier
    incarnations beyond it are superseded. `primary_layer` is the layer that the guide's
    names without a layer stand for.
    """

    type: Literal["run_started"] = "run_started"
    run_id: ShortText
    run_name: ShortText
    project: ShortText = "histopath-kan-auto"
    producer: ShortText
    incarnation: Annotated[int, Field(ge=1, lt=2**32)] = 1
    resumed_from_step: Count | None = None
    started_at_ns: Count
    device: ShortText = "cpu"
    world_size: Positive = 1
    layers: tuple[Layer, ...] = ()
    primary_layer: ShortText | None = None
    tile_size: Positive | None = None
    stain: Stain = "unknown"
    mpp: float | None = Field(default=None, gt=0)
    analysis_freq: Positive = 100
    frame_samples: Positive = 4
    max_epochs: Number | None = None
    total_steps: Number | None = None
    config: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> "RunStarted":
        try:
            check_run_name(self.run_name)
        except ConfigurationError as error:
            raise ValueError(str(error)) from error
        if _is_deeper(self.config, MAX_CONFIG_DEPTH):
            raise ValueError(f"config is nested more than {MAX_CONFIG_DEPTH} levels deep")
        names = [layer.name for layer in self.layers]
        if len(names) != len(set(names)):
            raise ValueError(f"layer names must differ from each other, got {names}")
        return self


class BatchMetrics(_Part):
    """The scalars of one batch; never lost.

    `global_step` counts batches trained since the run began, from 1 (a validation batch
    carries that of the last trained batch). `phase_step` counts this phase's batches since
    the run began, from 1: for training it equals `global_step`, for validation it numbers
    the dashboards. `loss` and `mse` are as trained; NaN and infinity are kept. `memory_mb` is
    the device's allocated memory (the process's resident memory on a CPU), in MiB.
    """

    type: Literal["batch_metrics"] = "batch_metrics"
    phase: Phase
    epoch: Count
    batch_idx: Count
    global_step: Count
    phase_step: Count
    rank: Count = 0
    captured_at_ns: Count
    batch_size: Count | None = None
    loss: float | None = None
    mse: float | None = None
    training_time_ms: float | None = None
    inference_time_ms: float | None = None
    data_time_ms: float | None = None
    memory_mb: float | None = None
    scalars: dict[str, float] = Field(default_factory=dict)
    frame: FrameRef | None = None


class EpochEnded(_Part):
    """An epoch ended, its validation included."""

    type: Literal["epoch_ended"] = "epoch_ended"
    epoch: Count
    global_step: Count
    rank: Count = 0
    captured_at_ns: Count


class DropNotice(_Part):
    """Frames `first_fseq` to `last_fseq` (both included) of a stream will not arrive."""

    type: Literal["drop_notice"] = "drop_notice"
    stream: Stream
    first_fseq: SequenceNumber
    last_fseq: SequenceNumber
    reason: DropReason
    captured_at_ns: Count

    @model_validator(mode="after")
    def _ordered(self) -> "DropNotice":
        if self.last_fseq < self.first_fseq:
            raise ValueError(f"empty range {self.first_fseq}..{self.last_fseq}")
        return self


class RunEnded(_Part):
    """The producer's last record, its `totals` by stream; `records` (1.1) are those before it."""

    type: Literal["run_ended"] = "run_ended"
    status: RunStatus
    ended_at_ns: Count
    reason: ShortText | None = None
    totals: dict[Stream, Totals] = Field(default_factory=dict)
    records: RecordTotals | None = None


class BatchFrame(_Part):
    """Images and maps of the first `frame_samples` samples of one batch.

    Attributes
    ----------
    input, reconstruction : ndarray of shape (N, H, W, 3), uint8
        The clean target and the model's output, [0, 1] scaled to 0..255.
    attention : mapping of layer name to ndarray of shape (N, h, w), float32
        The gate averaged over channels for BAM, in (0, 1).
    activation : mapping of layer name to ndarray of shape (N, h, w), float32
        Mean absolute activation over channels of KAN layers, >= 0.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", arbitrary_types_allowed=True)

    type: Literal["batch_frame"] = "batch_frame"
    phase: Phase
    epoch: Count
    batch_idx: Count
    global_step: Count
    phase_step: Count
    rank: Count = 0
    stream: Stream
    fseq: SequenceNumber
    captured_at_ns: Count
    samples: tuple[Sample, ...]
    input: UInt8Images
    reconstruction: UInt8Images
    attention: dict[str, Float32Maps] = Field(default_factory=dict)
    activation: dict[str, Float32Maps] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shapes(self) -> "BatchFrame":
        n = len(self.samples)
        for name, image in (("input", self.input), ("reconstruction", self.reconstruction)):
            if image.dtype != np.uint8 or image.ndim != 4 or image.shape[-1] != 3:
                raise ValueError(f"{name} must be uint8 (N, H, W, 3), got {_describe(image)}")
        if self.input.shape != self.reconstruction.shape:
            raise ValueError(
                f"input {self.input.shape} and reconstruction {self.reconstruction.shape} differ"
            )
        if self.input.shape[0] != n:
            raise ValueError(f"{n} samples are described, {self.input.shape[0]} images came")
        for layer, maps in (*self.attention.items(), *self.activation.items()):
            if not is_layer_name(layer):
                raise ValueError(f"layer name {layer!r} must be letters, digits and '_'")
            if maps.dtype != np.float32 or maps.ndim != 3 or maps.shape[0] != n:
                raise ValueError(f"{layer} must be float32 ({n}, h, w), got {_describe(maps)}")
        return self


def _is_deeper(value: Any, levels: int) -> bool:
    inner = [value]
    for _ in range(levels):
        parts = [_parts_of(part) for part in inner]
        inner = list({id(part): part for some in parts for part in some}.values())
    return any(_parts_of(part) for part in inner)


def _parts_of(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return list(value) if isinstance(value, list | tuple) else []


def _describe(array: NDArray[Any]) -> str:
    return f"{array.dtype} {array.shape}"


CriticalMessage = RunStarted | BatchMetrics | EpochEnded | DropNotice | RunEnded
Message = CriticalMessage | BatchFrame
