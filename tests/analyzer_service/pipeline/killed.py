"""A process that commits a run bit by bit and says what is acked, until it is killed."""

import sys
import time
from pathlib import Path

from analyzer_service.workers import InlineWorkers
from tests.analyzer_service.pipeline.driving import (
    ORIGIN,
    feed_frames,
    make_said,
    open_run,
)


def main(output: Path) -> None:
    said = make_said()
    pipeline = open_run(output, InlineWorkers())
    for cseq, message in enumerate(said.records[:20], start=1):
        pipeline.record(ORIGIN, cseq, message)
        feed_frames(pipeline, said.frames[cseq - 1 : cseq])
        print(pipeline.commit().acked[ORIGIN], flush=True)
    time.sleep(60)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
