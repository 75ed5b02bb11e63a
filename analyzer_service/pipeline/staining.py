"""Which stain vectors a run is measured with: named ones, or Macenko's of its first tiles.

A tile's intensities can be compared with another's only if both are measured with the same
vectors, so an estimate is made once a run, of its first tiles in the order of its records, and
kept in the run's database. Until then frames are held: what they are measured with must not
depend on which of them came first. The estimate is made of the tiles that are there when

- `TILES` tiles or `MOST_BYTES` of frames have come (a producer's credit is larger), or
- the first rank's first epoch ends, or nothing more comes of it.
"""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from analyzer_service.analyses.macenko import macenko_from_od, tissue_pixels
from analyzer_service.analyses.stain_vectors import StainVectors
from analyzer_service.analyses.tissue_facts import TissueFacts, VectorChoice, named_vectors
from analyzer_service.commit.producers import ProducerState
from analyzer_service.commit.store import Store
from shared.codec import Buffer, decode_payload
from shared.errors import ContractError
from shared.messages import BatchFrame, BatchMetrics, EpochEnded, RunEnded, RunStarted

logger = logging.getLogger(__name__)

FrameKey = tuple[int, str, int]

TILES: Final = 16
MOST_BYTES: Final = 16 << 20
PIXELS_A_TILE: Final = 2000
STATE_KEY: Final = "stain_vectors"


class RunStaining:
    """The stain vectors of one run, as soon as they are known; nothing of it is thread-safe."""

    def __init__(self, store: Store, choice: VectorChoice) -> None:
        self._store = store
        self._choice = choice
        self._next = 1
        self._frames: list[FrameKey] = []
        self._tiles = 0
        self._bytes = 0
        kept = store.get(STATE_KEY)
        self._vectors = None if kept is None else _parsed(kept)

    def facts(self, started: RunStarted) -> TissueFacts | None:
        """What the frames of a start are measured with; None while the estimate waits."""
        if self._choice != "macenko":
            return TissueFacts(named_vectors(self._choice, started.stain), started.mpp)
        return None if self._vectors is None else TissueFacts(self._vectors, started.mpp)

    def known(self, started: RunStarted) -> TissueFacts:
        """`facts`, once `advance` has said that the vectors are known."""
        facts = self.facts(started)
        assert facts is not None, "no frame is analyzed before its stain vectors are known"
        return facts

    def advance(self, producers: list[ProducerState], held: Mapping[FrameKey, Buffer]) -> bool:
        """Make the estimate if its tiles are there; tell whether the vectors are known.

        Raises
        ------
        StoreError
            If they could not be kept; call it again later.
        """
        if self._choice != "macenko" or self._vectors is not None:
            return True
        first = _first(producers)
        over = all(state.gone or state.drained for state in producers)
        if not (over if first is None else self._walk(first, held)):
            return False
        started = producers[0].started if first is None else first.started
        self._freeze(started, [held[key] for key in self._frames])
        return True

    def _walk(self, state: ProducerState, held: Mapping[FrameKey, Buffer]) -> bool:
        """Gather tiles in the order of the records; tell whether there are enough."""
        while True:
            message = state.message(self._store, self._next)
            if message is None:
                return state.gone
            if isinstance(message, BatchMetrics) and message.frame is not None:
                key = (state.id, message.frame.stream, message.frame.fseq)
                if key in held:
                    self._take(key, held[key])
                elif self._may_come(state, key):
                    return False
            elif isinstance(message, RunEnded) or (isinstance(message, EpochEnded) and self._tiles):
                return True
            self._next += 1
            if self._tiles >= TILES or self._bytes >= MOST_BYTES:
                return True

    def _may_come(self, state: ProducerState, key: FrameKey) -> bool:
        _, stream, fseq = key
        books = state.stream(stream)
        known = fseq in books.arrived or books.reason(fseq) is not None
        return not (known or state.gone or state.frames_over)

    def _take(self, key: FrameKey, payload: Buffer) -> None:
        frame = _decoded(payload)
        if frame is not None and len(frame.samples):
            self._frames.append(key)
            self._tiles += len(frame.samples)
            self._bytes += memoryview(payload).nbytes

    def _freeze(self, started: RunStarted, payloads: list[Buffer]) -> None:
        frames = [frame for frame in map(_decoded, payloads) if frame is not None]
        tiles = [image for frame in frames for image in frame.input][:TILES]
        named = named_vectors("ruifrok", started.stain)
        vectors = _estimate(tiles, named.stains)
        if vectors is None:
            vectors = named
            said = f"cannot be estimated from the first {len(tiles)} tiles: Ruifrok's are taken"
        else:
            said = f"estimated from the first {len(tiles)} tiles: {vectors.rows}"
        with self._store.transaction():
            self._store.put(**{STATE_KEY: json.dumps([vectors.stains, vectors.rows, said])})
            self._store.say(logging.INFO, f"stain vectors {said}")
        self._vectors = vectors


def _estimate(tiles: list[Any], stains: tuple[str, str]) -> StainVectors | None:
    """Macenko's stain vectors of all tiles together; None where two stains cannot be told."""
    if not tiles:
        return None
    pooled = np.concatenate([tissue_pixels(tile, limit=PIXELS_A_TILE) for tile in tiles])
    rows = macenko_from_od(pooled)
    # Six digits say all that an estimate knows, and read the same on every machine.
    return StainVectors.of(rows.round(6), stains=stains) if np.isfinite(rows).all() else None


def _first(producers: list[ProducerState]) -> ProducerState | None:
    """The first start of rank 0; None while only other ranks have spoken."""
    starts = [state for state in producers if state.origin.producer == "rank0"]
    if not starts and len(producers) == 1 and producers[0].started.world_size == 1:
        starts = producers
    return min(starts, key=lambda state: state.origin.incarnation, default=None)


def _decoded(payload: Buffer) -> BatchFrame | None:
    try:
        message = decode_payload(payload)
    except ContractError:
        return None  # its analysis will say so
    return message if isinstance(message, BatchFrame) else None


def _parsed(text: str) -> StainVectors:
    (first, second), rows, _ = json.loads(text)
    return StainVectors.of(rows, stains=(first, second))
