"""A trainer without a model: hands over small batches and writes down how its closing went.

``python -m tests.processes.publishing ENDPOINT OUTCOME [--batches N] …``
"""

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np

from shared.messages import Layer, RunStarted
from tests.processes.measuring import MIB, HandoffTimes, MemoryGrowth
from trainer.publish import Publisher, PublishSettings

SIZE = 32
NEVER = 1_000_000


def main(arguments: list[str]) -> None:
    """Publish, close, and write the outcome as JSON; exit with the code that was asked for."""
    options = _parse(arguments)
    publisher = Publisher.start(
        describe(options.run_name, options.incarnation, analysis_freq=options.analysis_freq),
        endpoint=options.endpoint or None,
        record=options.record,
        keys=options.keys,
        settings=_settings(options),
    )
    times, memory = HandoffTimes(), MemoryGrowth()
    due_s, step = time.monotonic(), 0
    while step < options.batches and not (options.until is not None and options.until.exists()):
        step += 1
        publish(publisher, step, size=options.size, times=times)
        if options.steps is not None:
            options.steps.write_text(f"{step} {time.time_ns()}")
        # The training that a real step would do; a step that was late is caught up with.
        due_s += options.step_s
        time.sleep(max(0.0, due_s - time.monotonic()))
    if options.hold is not None:
        _wait_for_release(options.hold)
    began_s = time.monotonic()
    outcome = publisher.close()
    closed = dataclasses.asdict(outcome) | {"close_s": time.monotonic() - began_s}
    books = outcome.books.model_dump()
    closed |= {"books": books, "totals": books["frames"], "records_lost": outcome.records_lost}
    closed |= {"handoff": times.summary(), "memory": memory.summary(), "batches": step}
    options.outcome.write_text(json.dumps(closed, default=str), encoding="utf-8")
    sys.exit(options.exit_code)


def describe(run_name: str, incarnation: int = 1, *, analysis_freq: int = NEVER) -> RunStarted:
    """The run that `publish` publishes to."""
    return RunStarted(
        run_id=f"id-{run_name}",
        run_name=run_name,
        producer="rank0",
        incarnation=incarnation,
        started_at_ns=time.time_ns(),
        layers=(Layer(name="bam_2", kind="attention"),),
        primary_layer="bam_2",
        analysis_freq=analysis_freq,
        frame_samples=1,
    )


def publish(
    publisher: Publisher, step: int, *, size: int = SIZE, times: HandoffTimes | None = None
) -> None:
    """Hand over training batch `step`, whose loss is the step's number."""
    clean = np.full((1, size, size, 3), step % 251, dtype=np.uint8)
    output = clean // 2
    gate = np.linspace(0.1, 0.9, 64, dtype=np.float32).reshape(1, 8, 8)

    def hand_over() -> None:
        publisher.batch(
            phase="train",
            epoch=0,
            batch_idx=step - 1,
            global_step=step,
            loss=float(step),
            input=clean,
            reconstruction=output,
            attention={"bam_2": gate},
        )

    if times is None:
        hand_over()
    else:
        times.run(hand_over)


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint", help="empty: nobody is published to")
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--size", type=int, default=SIZE, help="side of the tiles")
    parser.add_argument("--run-name", default="bare")
    parser.add_argument("--incarnation", type=int, default=1)
    parser.add_argument("--journal-dir", type=Path, default=Path())
    parser.add_argument("--record", type=Path)
    parser.add_argument("--keys", type=Path)
    parser.add_argument("--analysis-freq", type=int, default=NEVER)
    parser.add_argument("--step-s", type=float, default=0.005)
    parser.add_argument("--close-timeout", type=float, default=10.0)
    parser.add_argument("--capture-mib", type=int, default=256)
    parser.add_argument("--queue-mib", type=int, default=256)
    parser.add_argument("--unacked-mib", type=int, default=64)
    parser.add_argument("--journal-mib", type=int, default=1024)
    parser.add_argument("--steps", type=Path, help="file that tells the latest step and its time")
    parser.add_argument("--until", type=Path, help="publish no more once this file is there")
    parser.add_argument("--hold", type=Path, help="close only when this file is there")
    parser.add_argument("--exit-code", type=int, default=0)
    return parser.parse_args(arguments)


def _settings(options: argparse.Namespace) -> PublishSettings:
    return PublishSettings(
        capture_bytes=options.capture_mib * MIB,
        queue_bytes=options.queue_mib * MIB,
        unacked_bytes=options.unacked_mib * MIB,
        journal_bytes=options.journal_mib * MIB,
        journal_dir=options.journal_dir,
        close_timeout_s=options.close_timeout,
    )


def _wait_for_release(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1:])
