"""CUDA graphs and compiled models: neither is disturbed by the sidecar's questions."""

import threading
from pathlib import Path

import pytest
import torch

from tests.cuda.buffers import Buffers, expect_frame, wait_ready
from tests.cuda.test_steps import BATCH_SIZE, STEPS, TILES, Overwriting, expect_equal, read
from tests.trainer.capture.builders import loader, make_trainer, sidecar
from trainer.capture.cuda import CudaCapturer
from trainer.capture.device_events import ignore_captures_of_others, is_done
from trainer.capture.settings import CaptureSettings
from trainer.capture.timing import CudaClock

pytestmark = [pytest.mark.cuda, pytest.mark.filterwarnings("ignore")]


def test_the_driver_takes_the_capture_mode_of_a_thread(device: torch.device) -> None:
    torch.zeros(1, device=device)
    said: list[bool] = []
    thread = threading.Thread(target=lambda: said.append(ignore_captures_of_others()))
    thread.start()
    thread.join()
    assert said == [True]


def test_a_graph_is_captured_while_the_sender_asks_for_events(device: torch.device) -> None:
    """In the default mode, a question of another thread makes a capture fail."""
    work = torch.zeros(64, 64, device=device)
    torch.mm(work, work)  # loads its library before the capture
    event = torch.cuda.Event()
    torch.cuda._sleep(100_000_000)
    event.record()
    over, asked = threading.Event(), threading.Event()
    errors: list[Exception] = []

    def ask() -> None:
        while not over.is_set():
            try:
                is_done(event)
            except Exception as error:
                errors.append(error)
            asked.set()

    thread = threading.Thread(target=ask)
    thread.start()
    assert asked.wait(10)
    graph = torch.cuda.CUDAGraph()
    try:
        for _ in range(20):
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, capture_error_mode="global"):
                for _ in range(50):
                    result = torch.mm(work, work)
    finally:
        over.set()
        thread.join()
    graph.replay()
    torch.cuda.synchronize()
    assert not result.any()
    assert errors == []


def test_a_clock_takes_no_part_in_a_capture(device: torch.device) -> None:
    clock = CudaClock(device)
    work = torch.zeros(8, device=device)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        assert clock.mark() is None
        work += 1
    assert clock.mark() is not None


def test_outputs_of_a_graph_are_captured_before_its_next_replay(device: torch.device) -> None:
    capturer = CudaCapturer(device, CaptureSettings())
    buffers = Buffers(device)
    wait_ready(capturer.capture(buffers.values()))
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        buffers.output.mul_(0.9)
        buffers.spatial.add_(0.1)
    for _ in range(10):
        graph.replay()
        kept = {name: tensor.clone() for name, tensor in vars(buffers).items()}
        capture = capturer.capture(buffers.values())
        graph.replay()  # writes over what is being captured
        wait_ready(capture)
        expect_frame(capture.frame(), {name: tensor.cpu() for name, tensor in kept.items()})
        capture.drop_frame()


@pytest.mark.parametrize("mode", ["default", "reduce-overhead"])
def test_a_compiled_part_is_shown_as_it_was(tmp_path: Path, mode: str) -> None:
    pytest.importorskip("triton")
    torch._dynamo.reset()
    model = Overwriting()
    model.net[0].compile(mode=mode)
    model.net[3].compile(mode=mode)
    watch = sidecar(sidecar="off", record=tmp_path / "run.mcap")
    options = {"accelerator": "gpu", "devices": 1, "num_sanity_val_steps": 0}
    make_trainer(tmp_path, watch, **options).fit(model, loader(TILES, BATCH_SIZE))
    assert watch.failures == 0
    recorded = read(tmp_path / "run.mcap")
    assert len(recorded.metrics) == STEPS
    assert expect_equal(recorded, model.saw[:STEPS]) == STEPS
