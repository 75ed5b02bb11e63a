"""What is kept for other viewers: bounded, and made once even when many ask at the same time."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from analyzer_service.page.memory import BoundedMemory


def test_the_least_recently_asked_for_go_first() -> None:
    memory: BoundedMemory[bytes] = BoundedMemory(10, len)
    for key in ("a", "b"):
        memory.get(key, lambda: b"1234")
    memory.get("a", lambda: pytest.fail("it is kept"))
    memory.get("c", lambda: b"1234")
    memory.get("a", lambda: pytest.fail("it is kept"))
    assert memory.get("b", lambda: b"anew") == b"anew"
    assert memory.nbytes <= 10


def test_what_is_too_large_is_handed_out_but_not_kept() -> None:
    memory: BoundedMemory[bytes] = BoundedMemory(10, len)
    assert memory.get("a", lambda: b"x" * 11) == b"x" * 11
    assert memory.nbytes == 0


def test_one_works_while_the_others_wait() -> None:
    memory: BoundedMemory[bytes] = BoundedMemory(10, len)
    asked, go_on = threading.Barrier(5), threading.Event()
    made: list[int] = []

    def make() -> bytes:
        made.append(1)
        go_on.wait(10)
        return b"done"

    def ask() -> bytes:
        asked.wait(10)
        return memory.get("key", make)

    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(ask) for _ in range(4)]
        asked.wait(10)
        go_on.set()
        assert [answer.result(10) for answer in answers] == [b"done"] * 4
    assert made == [1]


def test_a_failure_is_not_kept() -> None:
    memory: BoundedMemory[bytes] = BoundedMemory(10, len)

    def fail() -> bytes:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        memory.get("key", fail)
    assert memory.get("key", lambda: b"back") == b"back"
