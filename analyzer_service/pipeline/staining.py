"""Which stain vectors a run is measured with: named ones, or Macenko's of its first tiles.

A tile's intensities can be compared with another's only if both are measured with the same
vectors. So a run keeps the choice that it began with, and an estimate is made once a run, of its
first tiles in the order of its records, and kept in the run's database. Until then frames are
held: what they are measured with must not depend on which of them came first. The estimate is
made of the tiles that are there when

- `TILES` tiles or `MOST_BYTES` of frames of the first rank have come,
- the first rank's first epoch with a tile ends, or nothing more comes of any of its starts; if
  it had no tile at all, the next rank is asked, and so on, or
- one producer has `MOST_HELD` bytes of frames held: it may send little more before it gets its
  credit back, and what is waited for is not coming.
"""

import json
import logging
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import numpy as np

from analyzer_service.analyses.macenko import macenko_from_od, tissue_pixels
from analyzer_service.analyses.stain_vectors import StainVectors
from analyzer_service.analyses.tissue_facts import TissueFacts, VectorChoice, named_vectors
from analyzer_service.commit.database import StoreError
from analyzer_service.commit.producers import ProducerState
from analyzer_service.commit.store import Store
from shared.codec import Buffer, decode_payload
from shared.errors import ContractError
from shared.messages import BatchFrame, BatchMetrics, EpochEnded, RunEnded, RunStarted

logger = logging.getLogger(__name__)

FrameKey = tuple[int, str, int]

TILES: Final = 16
MOST_BYTES: Final = 16 << 20
MOST_HELD: Final = 48 << 20
"""Of a producer's credit of 64 MiB."""
PIXELS_A_TILE: Final = 2000
STATE_KEY: Final = "stain_vectors"
CHOICE_KEY: Final = "stain_choice"
FIRST_RANK: Final = "rank0"


class RunStaining:
    """The stain vectors of one run, as soon as they are known; nothing of it is thread-safe.

    Parameters
    ----------
    store : Store
    choice : {"ruifrok", "qupath", "macenko"}
        What a new run is measured with; one that is taken up keeps its own.
    """

    def __init__(self, store: Store, choice: VectorChoice) -> None:
        self._store = store
        began_with: VectorChoice | None = store.get(CHOICE_KEY)
        self._choice = began_with or choice
        if self._choice != choice:
            logger.warning(
                "%s: it is measured with %s stain vectors since it began, and goes on with them, "
                "not with %s",
                store.folder,
                self._choice,
                choice,
            )
        self._gathered = _Gathered()
        self._full = False
        kept = store.get(STATE_KEY)
        self._vectors = None if kept is None else _parsed(kept)

    def keep_choice(self) -> None:
        """Have the run go on with its choice when it is taken up; inside a transaction."""
        self._store.put(**{CHOICE_KEY: self._choice})

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

    def advance(
        self,
        producers: list[ProducerState],
        held: Mapping[FrameKey, Buffer],
        is_over: Callable[[ProducerState], bool],
    ) -> bool:
        """Make the estimate if its tiles are there; tell whether the vectors are known.

        `is_over` tells whether no frame of a producer is waited for any more.

        Raises
        ------
        StoreError
            If the records could not be read or the vectors not be kept; call it again later.
        """
        if self._choice != "macenko" or self._vectors is not None:
            return True
        # As of the last call: since then the records that came with those frames are committed.
        full, self._full = self._full, _most_held(held) >= MOST_HELD
        try:
            over = self._gather(producers, held, lambda state: full or is_over(state))
        except sqlite3.Error as error:
            raise StoreError(f"{self._store.folder}: it could not be read: {error}") from error
        if over:
            frames = [held[key] for key in self._gathered.frames]
            self._freeze(producers[0].started, frames)
        return over

    def _gather(
        self,
        producers: list[ProducerState],
        held: Mapping[FrameKey, Buffer],
        is_over: Callable[[ProducerState], bool],
    ) -> bool:
        """Ask one producer after the other for tiles; tell whether no more are waited for."""
        groups = _by_incarnation(producers)
        if groups and groups[0][0].id != self._gathered.first:  # an earlier one has come
            self._gathered = _Gathered(groups[0][0].id)
        for group in groups:
            if not (_is_first(group[0]) or all(map(is_over, group))):
                return False
            for state in group:
                if not self._walk(state, held, over=is_over(state)):
                    return False
                if self._gathered.frames:
                    return True
        return True

    def _walk(self, state: ProducerState, held: Mapping[FrameKey, Buffer], *, over: bool) -> bool:
        """Gather tiles in the order of the records; tell whether no more are waited for."""
        gathered = self._gathered
        while not gathered.enough:
            cseq = gathered.asked[state.id] + 1
            message = state.message(self._store, cseq)
            if message is None:
                return over
            if isinstance(message, RunEnded):
                return True
            if isinstance(message, EpochEnded) and gathered.frames:
                return True
            if isinstance(message, BatchMetrics) and message.frame is not None:
                key = (state.id, message.frame.stream, message.frame.fseq)
                if key in held:
                    gathered.take(key, held[key])
                elif not over and _may_come(state, key):
                    return False
            gathered.asked[state.id] = cseq
        return True

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


@dataclass
class _Gathered:
    """The frames that the estimate takes, and the last record that each producer was asked for."""

    first: int | None = None
    asked: Counter[int] = field(default_factory=Counter)
    frames: list[FrameKey] = field(default_factory=list)
    tiles: int = 0
    nbytes: int = 0

    @property
    def enough(self) -> bool:
        return self.tiles >= TILES or self.nbytes >= MOST_BYTES

    def take(self, key: FrameKey, payload: Buffer) -> None:
        """Take a frame, unless it holds no tile."""
        self.nbytes += memoryview(payload).nbytes
        frame = _decoded(payload)
        if frame is not None and len(frame.samples):
            self.frames.append(key)
            self.tiles += len(frame.samples)


def _by_incarnation(producers: list[ProducerState]) -> list[list[ProducerState]]:
    """Starts in the order in which they are asked: rank 0 first of each incarnation."""

    def place(state: ProducerState) -> tuple[int, bool, str]:
        return state.origin.incarnation, not _is_first(state), state.origin.producer

    ordered = sorted(producers, key=place)
    return [list(group) for _, group in groupby(ordered, lambda state: state.origin.incarnation)]


def _is_first(state: ProducerState) -> bool:
    return state.origin.producer == FIRST_RANK or state.started.world_size == 1


def _may_come(state: ProducerState, key: FrameKey) -> bool:
    _, stream, fseq = key
    books = state.stream(stream)
    return fseq not in books.arrived and books.reason(fseq) is None


def _most_held(held: Mapping[FrameKey, Buffer]) -> int:
    """Bytes that are held of the producer with the most."""
    total: Counter[int] = Counter()
    for (producer, _, _), payload in held.items():
        total[producer] += memoryview(payload).nbytes
    return max(total.values(), default=0)


def _estimate(tiles: list[Any], stains: tuple[str, str]) -> StainVectors | None:
    """Macenko's stain vectors of all tiles together; None where two stains cannot be told."""
    if not tiles:
        return None
    pooled = np.concatenate([tissue_pixels(tile, limit=PIXELS_A_TILE) for tile in tiles])
    rows = macenko_from_od(pooled)
    # Six digits say all that an estimate knows, and read the same on every machine.
    return StainVectors.of(rows.round(6), stains=stains) if np.isfinite(rows).all() else None


def _decoded(payload: Buffer) -> BatchFrame | None:
    try:
        message = decode_payload(payload)
    except ContractError:
        return None  # its analysis will say so
    return message if isinstance(message, BatchFrame) else None


def _parsed(text: str) -> StainVectors:
    (first, second), rows, _ = json.loads(text)
    return StainVectors.of(rows, stains=(first, second))
