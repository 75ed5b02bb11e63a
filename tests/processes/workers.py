"""A bare loop whose DataLoader's workers, and other children, meddle with the publisher.

``python -m tests.processes.workers ENDPOINT OUTCOME --method fork [--persistent]``

Each of three epochs has 12 batches. Other children are forked in each epoch: one leaves by
``os._exit``, one is killed, and in the first epoch one leaves by the interpreter's own end. In the
second epoch a worker is killed; the loop goes on with a new loader.
"""

import argparse
import itertools
import json
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from tests.processes.publishing import describe
from trainer.publish import Publisher, PublishSettings

EPOCHS = 3
BATCHES = 12
BATCH_SIZE = 4
_NOTICED = (RuntimeError, OSError, EOFError)


class MeddlingTiles(Dataset[dict[str, Any]]):
    """Tiles that tell who read them; a worker that reads one misuses the publisher."""

    def __init__(self, publisher: Publisher) -> None:
        self.publisher = publisher

    def __len__(self) -> int:
        return BATCHES * BATCH_SIZE

    def __getitem__(self, index: int) -> dict[str, Any]:
        if get_worker_info() is not None:
            meddle(self.publisher)
        return {"image": torch.rand(3, 32, 32), "reader": os.getpid()}


def meddle(publisher: Publisher) -> None:
    """What a child must not do, and does all the same: nothing of it may have any effect."""
    image = np.zeros((1, 3, 32, 32), np.float32)
    publisher.batch(
        phase="train",
        epoch=0,
        batch_idx=0,
        global_step=999,
        loss=-1.0,
        input=image,
        reconstruction=image,
    )
    publisher.epoch_ended(0, 999)
    outcome = publisher.close("failed", reason="of a child", timeout_s=60.0)
    assert not outcome.complete


def main(arguments: list[str]) -> None:
    """Train, close, and write the outcome as JSON."""
    warnings.filterwarnings("ignore", ".*multi-threaded.*", DeprecationWarning)
    options = _parse(arguments)
    publisher = Publisher.start(
        describe("bare"),
        endpoint=options.endpoint,
        settings=PublishSettings(close_timeout_s=30.0),
    )
    readers: set[int] = set()
    source = Source(publisher, options)
    step = 0
    for epoch in range(EPOCHS):
        # Later on, a child that ends regularly would end the loader's workers by ``atexit``.
        for leaves_by in ("os._exit", "kill", *(("exit",) if epoch == 0 else ())):
            _fork_another(publisher, leaves_by)
        kill_at = BATCHES // 2 if epoch == 1 else None
        for batch in source.epoch(kill_at=kill_at):
            step += 1
            readers.update(batch["reader"].tolist())
            _publish(publisher, epoch, step, batch["image"])
        publisher.epoch_ended(epoch, step)
    outcome = publisher.close()
    said = outcome.books.model_dump() | {
        "complete": outcome.complete,
        "journal": outcome.journal,
        "readers": len(readers - {os.getpid()}),
    }
    options.outcome.write_text(json.dumps(said, default=str), encoding="utf-8")


class Source:
    """Batches of an epoch after the other; a loader whose worker died is replaced."""

    def __init__(self, publisher: Publisher, options: argparse.Namespace) -> None:
        self._publisher = publisher
        self._options = options
        self._loader = self._make()

    def epoch(self, *, kill_at: int | None) -> Iterator[dict[str, Tensor]]:
        """`BATCHES` batches; before number `kill_at` a worker is killed."""
        given = 0
        for batch in self._loader:
            if given == kill_at:
                break
            yield batch
            given += 1
        if given == kill_at:
            self._miss_a_worker()
            self._loader = self._make()
            yield from itertools.islice(self._loader, BATCHES - given)

    def _miss_a_worker(self) -> None:
        dying = iter(self._make())
        next(dying)
        killed = dying._workers[0]  # type: ignore[attr-defined]
        os.kill(killed.pid, signal.SIGKILL)
        # The loader notices, or what the worker had sent is gone; PyTorch's handler of the signal
        # of its death raises as well, whenever that comes: by the end of `join`, at the latest.
        with suppress(*_NOTICED):
            with suppress(*_NOTICED):
                for _ in dying:
                    pass
            killed.join()
        if killed.exitcode == -signal.SIGKILL:
            print("as expected: a worker was killed", flush=True)

    def _make(self) -> DataLoader[Any]:
        return DataLoader(
            MeddlingTiles(self._publisher),
            batch_size=BATCH_SIZE,
            num_workers=2,
            multiprocessing_context=self._options.method,
            persistent_workers=self._options.persistent,
        )


def _fork_another(publisher: Publisher, leaves_by: str) -> None:
    """Fork a child that ends in one of three ways, and wait for it."""
    child = os.fork()
    if child == 0:
        meddle(publisher)
        if leaves_by == "exit":
            sys.exit(7)
        elif leaves_by == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        os._exit(7)
    _, status = os.waitpid(child, 0)
    expected = -signal.SIGKILL if leaves_by == "kill" else 7
    assert os.waitstatus_to_exitcode(status) == expected, (leaves_by, status)


def _publish(publisher: Publisher, epoch: int, step: int, images: Tensor) -> None:
    publisher.batch(
        phase="train",
        epoch=epoch,
        batch_idx=step - 1,
        global_step=step,
        loss=float(step),
        input=images,
        reconstruction=images,
        attention={"bam_2": np.full((1, 8, 8), 0.5, np.float32)},
    )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint")
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--method", choices=("fork", "spawn", "forkserver"), required=True)
    parser.add_argument("--persistent", action="store_true")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
