import pytest
import torch

from tests.trainer.capture.builders import make_values
from trainer.capture.capturer import Capturer
from trainer.publish import CaptureLost
from trainer.publish.contract import ValuesLost


def test_a_device_of_another_kind_costs_the_frames_and_nothing_else() -> None:
    capturer = Capturer(torch.device("meta"))
    scalars = {"loss": torch.tensor(0.5), "there": torch.zeros((), device="meta"), "n": 1.0}
    capture = capturer.capture(make_values(scalars=scalars))
    assert capturer.failures == 1
    assert capture.nbytes > 0  # offered, so that the loss is counted
    assert capture.ready()
    with pytest.raises(ValuesLost) as values_lost:
        capture.scalars()
    assert values_lost.value.scalars == {"loss": 0.5, "n": 1.0}
    with pytest.raises(CaptureLost) as lost:
        capture.frame()
    assert lost.value.reason == "capture_failed"
    capture.drop_frame()
