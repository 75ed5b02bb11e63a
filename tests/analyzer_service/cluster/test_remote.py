"""Only what is registered as a remote call can be named by a chunk."""

import pytest

from analyzer_service.cluster.chunks import (
    AskedCall,
    AskedChunk,
    pack_asked,
    unpack_answered,
)
from analyzer_service.cluster.installation import digest, installation
from analyzer_service.cluster.remote import resolve_call
from analyzer_service.cluster.serving import run_chunk
from analyzer_service.pipeline.remote_calls import MEASURE, REMOTE
from shared.errors import ContractError


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
