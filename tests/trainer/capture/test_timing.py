"""Times by a clock that a test moves."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainer.capture.memory import MemoryGauge
from trainer.capture.timing import HostClock, StepTimer


class ManualClock(HostClock):
    def __init__(self) -> None:
        self.now_s = 0.0

    def mark(self) -> float:
        return self.now_s


class Layer(nn.Module):
    """Takes a second of the manual clock."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.clock = clock

    def forward(self, x: Tensor) -> Tensor:
        self.clock.now_s += 1
        return x


class Model(nn.Module):
    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self.first, self.second = Layer(clock), Layer(clock)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.second(self.first(x))
        return result


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def times_of(model: Model, clock: ManualClock, step: Any) -> dict[str, Any]:
    timer = StepTimer(model, clock)
    for _ in range(2):  # what is watched may change in the first step
        timer.batch_started()
        step()
        times = timer.times(timer.marks(training=True))
    timer.remove()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    return times


def test_the_modules_own_call_is_timed(clock: ManualClock) -> None:
    model = Model(clock)

    def step() -> None:
        clock.now_s += 3  # noise is added
        model(torch.zeros(1))
        clock.now_s += 5  # backward and optimizer

    times = times_of(model, clock, step)
    assert times["inference_time_ms"] == 2000
    assert times["training_time_ms"] == 10_000
    assert times["data_time_ms"] >= 0


def test_without_a_call_of_the_module_its_parts_are_timed(clock: ManualClock) -> None:
    model = Model(clock)
    times = times_of(model, clock, lambda: model.second(model.first(torch.zeros(1))))
    assert times["inference_time_ms"] == 2000


def test_layers_that_run_again_in_the_backward_pass_do_not_count(clock: ManualClock) -> None:
    model = Model(clock)
    timer = StepTimer(model, clock)
    timer.batch_started()
    model.first(torch.zeros(1))
    timer.frozen = True
    model.first(torch.zeros(1))
    assert timer.times(timer.marks(training=True))["inference_time_ms"] == 1000


def test_a_step_without_a_forward_pass_has_no_inference_time(clock: ManualClock) -> None:
    assert "inference_time_ms" not in times_of(Model(clock), clock, lambda: None)


def test_memory_is_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, reads = [0.0], [0]
    gauge = MemoryGauge(torch.device("cpu"), clock=lambda: now_s[0])
    read = gauge._read

    def counted() -> int:
        reads[0] += 1
        return read()

    monkeypatch.setattr(gauge, "_read", counted)
    values = [gauge.value() for _ in range(10)]
    assert reads == [1]
    now_s[0] = 1.0
    values.append(gauge.value())
    assert reads == [2]
    assert 20 < min(values) <= max(values) < 100_000
