"""Only what is registered as a remote call can be named by a chunk."""

import os
import resource
import time

import pytest

from analyzer_service.cluster.chunks import (
    AskedCall,
    AskedChunk,
    pack_asked,
    unpack_answered,
)
from analyzer_service.cluster.installation import digest, installation
from analyzer_service.cluster.remote import resolve_call
from analyzer_service.cluster.serving import _idle, run_chunk, timed
from analyzer_service.pipeline.remote_calls import MEASURE, REMOTE
from shared.errors import ContractError
from tests.analyzer_service.workers.remote import ADD
from tests.analyzer_service.workers.tasks import add


def test_registered_calls_are_found_by_their_names() -> None:
    assert resolve_call("analyzer_service.pipeline.remote_calls:MEASURE") is MEASURE
    for remote in REMOTE.values():
        assert resolve_call(remote.name) is remote


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "builtins:eval",
        "analyzer_service.pipeline.calls:analyze_payload",
        "nowhere:nothing",
        "analyzer_service.pipeline.remote_calls:",
        ":",
        "",
        "tests.analyzer_service.cluster.test_remote:MEASURE",  # the same object, another name
    ],
)
def test_nothing_else_can_be_named(name: str) -> None:
    with pytest.raises(ContractError):
        resolve_call(name)


def test_a_chunk_that_names_something_else_runs_nothing() -> None:
    asked = AskedChunk(digest(installation()), (AskedCall("os:getcwd", [], 1.0, False),))
    answered = unpack_answered(run_chunk(pack_asked(asked)), 1)
    assert answered.answers == ()
    assert "'os:getcwd' is no remote call" in (answered.refused or "")


def test_a_chunk_of_another_installation_is_refused() -> None:
    answered = unpack_answered(run_chunk(pack_asked(AskedChunk("another", ()))), 0)
    assert "another version" in (answered.refused or "")


def test_what_is_no_chunk_is_refused() -> None:
    assert unpack_answered(run_chunk(b"\xc1"), 1).refused is not None


def test_what_counts_is_work_and_not_the_time_that_passed() -> None:
    value, took_ms = timed(memoryview(b"abc"), nap, 0.2)
    assert value == (b"abc", 0.2)
    assert took_ms < 100
    assert timed(add, 1, 2)[0] == 3


def nap(payload: memoryview, seconds: float) -> tuple[bytes, float]:
    time.sleep(seconds)
    return bytes(payload), seconds


def test_a_chunk_runs_where_a_thousand_files_are_open() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip("so many files cannot be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    with open(os.devnull) as file:
        others = [os.dup(file.fileno()) for _ in range(1100)]
        try:
            call = AskedCall(ADD.name, [1, 2], 30.0, False)
            header = pack_asked(AskedChunk(digest(installation()), (call,)))
            (answer,) = unpack_answered(run_chunk(header), 1).answers
        finally:
            for each in others:
                os.close(each)
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            _idle.get_nowait().close()
    assert (answer.how, answer.value) == ("done", 3)
