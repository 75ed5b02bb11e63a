"""What a recording holds, and how a channel's metadata says whose messages it carries."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from mcap.records import Channel

from shared.codec import MAX_MESSAGE_BYTES

RecordedChannel = Literal["ctl", "train", "val"]
ChannelKey = tuple[str, str, str, int, RecordedChannel]

MESSAGE_ENCODING: Final = "msgpack"
MAX_CHANNELS: Final = 2**16 - 1
MAX_SEQUENCE: Final = 2**32 - 1
MAX_TIME_NS: Final = 2**64 - 1
MAX_NAME_BYTES: Final = 4096  # what the contract allows, in UTF-8


@dataclass(frozen=True)
class Recorded:
    """One message of one producer, as it stands in a recording.

    Attributes
    ----------
    channel : {"ctl", "train", "val"}
        ``ctl`` holds critical records, `sequence` is their cseq; ``train`` and ``val`` hold
        frames, `sequence` is their fseq.
    sequence : int
        From 0 to ``2**32 - 1``: MCAP holds no larger ones.
    captured_at_ns : int
        Nanoseconds since the Unix epoch.
    payload : bytes
        ``codec.join(codec.encode(message))``; `codec.decode_payload` reads it.
    """

    run_id: str
    run_name: str
    producer: str
    incarnation: int
    channel: RecordedChannel
    sequence: int
    captured_at_ns: int
    payload: bytes

    @property
    def key(self) -> ChannelKey:
        """What items of one MCAP channel have in common."""
        return self.run_id, self.run_name, self.producer, self.incarnation, self.channel


@dataclass(frozen=True)
class Loss:
    """Bytes of a recording that could not be read, or its missing end (0 bytes)."""

    offset: int
    nbytes: int
    reason: str

    def __str__(self) -> str:
        if not self.nbytes:
            return f"at byte {self.offset}: {self.reason}"
        return f"{self.nbytes} bytes at byte {self.offset} are lost: {self.reason}"


def check_key(key: ChannelKey) -> None:
    """Raise `ValueError` if a channel of `key` would not come back from a file as it is."""
    run_id, run_name, producer, incarnation, channel = key
    if channel not in get_args(RecordedChannel):
        raise ValueError(f"channel {channel!r} is none of ctl, train, val")
    if not 1 <= incarnation <= MAX_SEQUENCE:
        raise ValueError(f"incarnation {incarnation} is beyond 1..{MAX_SEQUENCE}")
    if max(len(name.encode()) for name in (run_id, run_name, producer)) > MAX_NAME_BYTES:
        raise ValueError(f"a name of more than {MAX_NAME_BYTES} bytes")


def check_message(item: Recorded) -> None:
    """Raise `ValueError` if `item` would not come back from its channel as it is."""
    if not 0 <= item.sequence <= MAX_SEQUENCE:
        raise ValueError(f"sequence {item.sequence} is beyond 0..{MAX_SEQUENCE}")
    if not 0 <= item.captured_at_ns <= MAX_TIME_NS:
        raise ValueError(f"time {item.captured_at_ns} is beyond 0..{MAX_TIME_NS}")
    if len(item.payload) > MAX_MESSAGE_BYTES:
        raise ValueError(f"payload of {len(item.payload)} bytes, at most {MAX_MESSAGE_BYTES}")


def make_channel(number: int, key: ChannelKey, token: str) -> Channel:
    """MCAP channel `number` of the recording `token`."""
    run_id, run_name, producer, incarnation, channel = key
    metadata = {
        "recording": token,
        "run_id": run_id,
        "run_name": run_name,
        "producer": producer,
        "incarnation": str(incarnation),
        "channel": channel,
    }
    topic = f"{run_id}/{producer}/{incarnation}/{channel}"
    return Channel(
        id=number,
        topic=topic,
        message_encoding=MESSAGE_ENCODING,
        metadata=metadata,
        schema_id=0,
    )


def read_key(metadata: Mapping[str, str]) -> ChannelKey:
    """Key of a channel, from its metadata.

    Raises
    ------
    ValueError
        If the metadata does not say whose messages it carries.
    """
    run_id, run_name, producer, channel = (
        metadata.get(name, "") for name in ("run_id", "run_name", "producer", "channel")
    )
    key: Any = run_id, run_name, producer, int(metadata.get("incarnation", "")[:10]), channel
    check_key(key)
    return key  # type: ignore[no-any-return]
