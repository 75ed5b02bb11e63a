from tests.trainer.capture.builders import publishers

__all__ = ["publishers"]
