"""A connection that is given up before it is one."""

import os
import socket
import threading

import pytest

from analyzer_service.cluster.connection import Connection, Listener
from analyzer_service.cluster.settings import ClusterSettings
from shared.errors import ConfigurationError


def ignore(*_: object) -> None:
    pass


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_closing_ends_an_attempt_at_one_who_says_nothing_and_leaves_nothing_open() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"tcp://127.0.0.1:{mute.getsockname()[1]}"
        before = None
        for _ in range(3):  # the first one imports dask
            connection = Connection(ClusterSettings(address), Listener(ignore, ignore, ignore))
            refused: list[BaseException] = []

            def connect(connection: Connection = connection, refused: list = refused) -> None:
                with pytest.raises(ConfigurationError) as caught:
                    connection.connect(strict=False)
                refused.append(caught.value)

            attempt = threading.Thread(target=connect)
            attempt.start()
            accepted, _ = mute.accept()
            connection.close()
            attempt.join(60)
            accepted.close()
            assert "did not say in time" in str(refused[0])
            assert connection.slots == 0
            before = before or open_files()
        assert open_files() == before
    assert "cluster" not in {each.name for each in threading.enumerate()}
