import pytest
import torch

from tests.trainer.capture.builders import make_watched, tiles
from trainer.capture.capturer import capturing
from trainer.publish import BatchKeys, CaptureLost
from trainer.publish.contract import ValuesLost

FACTS = (BatchKeys("train", 0, 0, 1, 1), 0, None, (None, None, None, None, None))


def test_a_device_of_another_kind_costs_the_frames_and_what_lies_on_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    capture = capturing(torch.device("meta"), make_watched())
    images = tiles(4), tiles(4)
    first = capture(images, [], (torch.tensor(0.5), None, None), {"n": 1.0}, FACTS)
    assert first.nbytes > 0  # offered, so that the loss is counted
    assert first.ready()
    assert first.scalars() == {"loss": 0.5, "n": 1.0}
    with pytest.raises(CaptureLost) as lost:
        first.frame()
    assert lost.value.reason == "capture_failed"
    first.drop_frame()
    on_device = torch.zeros((), device="meta")
    second = capture(images, [], (on_device, None, None), {"n": 1.0}, FACTS)
    with pytest.raises(ValuesLost) as values:
        second.scalars()
    assert values.value.scalars == {"n": 1.0}
    assert caplog.text.count("a frame cannot be captured") == 1
