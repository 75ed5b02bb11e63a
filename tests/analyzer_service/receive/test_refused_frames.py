"""Frames that are not taken, in front of real worker processes."""

import os
from pathlib import Path

import pytest

from analyzer_service.workers import PoolWorkers
from shared import protocol
from shared.codec import encode
from shared.transport.addresses import Address
from tests.analyzer_service.receive.client import Client
from tests.analyzer_service.receive.running import analyzer
from tests.analyzer_service.workers.tasks import memory_files
from tests.builders import make_batch, make_frame, make_run_started


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory files")
def test_a_refused_frame_takes_no_memory(address: Address, tmp_path: Path) -> None:
    started = make_run_started()
    good = make_frame(1, size=128)
    wrong = [encode(make_frame(2, size=128)), encode(make_batch(1)), [bytes(200_000)]]
    with (
        analyzer(address, tmp_path, workers=PoolWorkers(1)) as running,
        Client(address, started) as client,
    ):
        client.greet()
        client.records([started, make_batch(1)])
        header = protocol.pack(protocol.Frame(stream="train", fseq=1))
        for parts in wrong:
            client.bulk.send_multipart([header, *parts])
        cost = client.frame(good) + client.frame(good)
        while client.credit_returned < cost:
            client.expect(protocol.Credit)
        assert running.loop.sessions.refused.malformed == len(wrong)
        assert len(memory_files()) == 1
    assert memory_files() == []
