"""A loose bound on what the training thread pays for each batch, without its own work."""

import statistics
import time

import torch
from torch import nn

from shared.messages import RunStarted
from tests.trainer.capture.builders import RememberingPublisher
from trainer.capture.counters import RunCounters
from trainer.capture.gates import Taps
from trainer.capture.session import FitSession

MEDIAN_LIMIT_US = 500  # measured: about 20; a busy machine must not fail the suite


def test_handing_over_a_batch_takes_microseconds() -> None:
    model = nn.ModuleDict({"a": nn.Identity(), "b": nn.Identity()})
    receiver = RememberingPublisher(
        RunStarted(run_id="r", run_name="r", producer="rank0", started_at_ns=0)
    )
    session = FitSession(
        model,
        torch.device("cpu"),
        taps=Taps(model, {"a": "a", "b": "b"}, {}, samples=4),
        counters=RunCounters(),
        receiver=receiver,
    )
    images = torch.rand(4, 3, 128, 128)
    returned = {"loss": torch.tensor(1.0), "input": images, "reconstruction": images}
    took_us: list[float] = []
    for _ in range(300):
        session.batch_started("train", 0.1)
        for part in model.values():
            part(torch.rand(4, 32, 32))
        for i in range(5):
            session.log(f"mine_{i}", 0.5)
        began_s = time.perf_counter()
        session.step_ended("train", 0, images, returned)
        took_us.append((time.perf_counter() - began_s) * 1e6)
    assert len(receiver.batches) == 300
    assert len(receiver.batches[-1][1].scalars()) >= 9
    assert statistics.median(took_us) < MEDIAN_LIMIT_US
