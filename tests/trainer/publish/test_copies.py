"""A publisher in a forked child, and a copy of one, do nothing, and hurt nobody."""

import copy
import json
import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.codec import decode_payload
from shared.messages import BatchMetrics
from shared.recording import RecordingReader
from tests.builders import make_run_started
from trainer.publish import Publisher

DEADLINE_S = 15.0
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")


def hand_over(publisher: Publisher, step: int) -> None:
    publisher.batch(phase="train", epoch=0, batch_idx=step, global_step=step, loss=0.5)


def misuse(publisher: Publisher) -> dict[str, Any]:
    """Everything that a copy may be asked for; what it says of its end."""
    began_s = time.monotonic()
    hand_over(publisher, 99)
    publisher.epoch_ended(0, 99)
    outcome = publisher.close("failed", timeout_s=30.0)
    return {
        "took_s": time.monotonic() - began_s,
        "complete": outcome.complete,
        "offered": outcome.books.records.offered,
        "journal": outcome.journal,
        "connected": publisher.progress.connected,
    }


NOTHING = {"complete": False, "offered": 0, "journal": None, "connected": False}


def in_child(call: Callable[[], Any]) -> Any:
    """What `call` returns in a forked child; fails when the child hangs or dies."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(write_end, "w") as sink:
            json.dump(call(), sink)
        os._exit(0)
    os.close(write_end)
    deadline_s = time.monotonic() + DEADLINE_S
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > deadline_s:
            os.kill(child, 9)
            os.waitpid(child, 0)
            pytest.fail("the child hangs")
        time.sleep(0.005)
    with os.fdopen(read_end) as source:
        return json.load(source)


def steps(path: Path) -> list[int]:
    messages = [decode_payload(item.payload) for item in RecordingReader(path)]
    return [m.global_step for m in messages if isinstance(m, BatchMetrics)]


COPIES: dict[str, Callable[[Publisher], Publisher]] = {
    "pickle": lambda publisher: pickle.loads(pickle.dumps(publisher)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("how", COPIES)
def test_a_copy_publishes_nothing(tmp_path: Path, how: str) -> None:
    file = tmp_path / "run.mcap"
    publisher = Publisher.start(make_run_started(), record=file)
    hand_over(publisher, 1)
    said = misuse(COPIES[how](publisher))
    assert said.pop("took_s") < 1.0
    assert said == NOTHING
    hand_over(publisher, 2)
    outcome = publisher.close()
    assert outcome.complete
    assert steps(file) == [1, 2]
    misuse(COPIES[how](publisher))  # of a closed one, too
    assert publisher.close() is outcome


def test_a_forked_child_publishes_nothing_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "run.mcap"
    publisher = Publisher.start(make_run_started(), record=file)
    hand_over(publisher, 1)
    said = in_child(lambda: misuse(publisher))
    assert said.pop("took_s") < 1.0
    assert said == NOTHING
    hand_over(publisher, 2)
    assert publisher.close().complete
    assert steps(file) == [1, 2]


def test_a_forked_child_may_publish_a_run_of_its_own(tmp_path: Path) -> None:
    def publish() -> bool:
        own = Publisher.start(make_run_started(run_name="own"), record=tmp_path / "own.mcap")
        hand_over(own, 7)
        return own.close().complete

    publisher = Publisher.start(make_run_started(), record=tmp_path / "run.mcap")
    hand_over(publisher, 1)
    assert in_child(publish) is True
    assert publisher.close().complete
    assert steps(tmp_path / "own.mcap") == [7]
    assert steps(tmp_path / "run.mcap") == [1]
