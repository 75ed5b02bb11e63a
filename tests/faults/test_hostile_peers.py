"""Peers that send what is no message while a real run goes on."""

import random
import socket

import pytest
import zmq

from tests.processes.scene import Scene, expect_everything

pytestmark = pytest.mark.process


def test_garbage_on_both_ports_disturbs_nobody(scene: Scene) -> None:
    analyzer = scene.analyzer("--once")
    release = scene.home / "release"
    publisher = scene.publisher(batches=200, step_s=0.01, hold=release)
    scene.until_steps(10)
    throw_garbage(scene.endpoint, random.Random(3))
    release.touch()
    outcome = scene.outcome(publisher)
    assert analyzer.wait(30) == 0
    expect_everything(scene, outcome, 200)
    assert "no message" in scene.said()


def throw_garbage(endpoint: str, generator: random.Random) -> None:
    """Random bytes on plain sockets, and random messages of well-spoken ZeroMQ peers."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    context = zmq.Context()
    for number in (int(port), int(port) + 1):
        for _ in range(20):
            with socket.create_connection((host, number)) as plain:
                plain.sendall(generator.randbytes(generator.randrange(1, 5000)))
        peer = context.socket(zmq.DEALER)
        peer.setsockopt(zmq.LINGER, 5000)
        peer.connect(f"tcp://{host}:{number}")
        for _ in range(300):
            count = generator.randrange(1, 4)
            peer.send_multipart(
                [generator.randbytes(generator.randrange(200)) for _ in range(count)]
            )
        peer.close()
    context.term()
