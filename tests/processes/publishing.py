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
from trainer.publish import Publisher, PublishSettings

SIZE = 32


def main(arguments: list[str]) -> None:
    """Publish, close, and write the outcome as JSON."""
    options = _parse(arguments)
    publisher = Publisher.start(
        describe(options.run_name, options.incarnation),
        endpoint=options.endpoint,
        settings=PublishSettings(
            journal_dir=options.journal_dir, close_timeout_s=options.close_timeout
        ),
    )
    for step in range(1, options.batches + 1):
        publish(publisher, step)
        time.sleep(options.step_s)  # the training that a real step would do
    if options.hold is not None:
        _wait_for_release(options.hold)
    began_s = time.monotonic()
    outcome = publisher.close()
    closed = dataclasses.asdict(outcome) | {"close_s": time.monotonic() - began_s}
    closed["totals"] = {name: total.model_dump() for name, total in outcome.totals.items()}
    options.outcome.write_text(json.dumps(closed, default=str), encoding="utf-8")


def describe(run_name: str, incarnation: int = 1) -> RunStarted:
    """The run that `publish` publishes to."""
    return RunStarted(
        run_id=f"id-{run_name}",
        run_name=run_name,
        producer="rank0",
        incarnation=incarnation,
        started_at_ns=time.time_ns(),
        layers=(Layer(name="bam_2", kind="attention"),),
        primary_layer="bam_2",
        analysis_freq=1_000_000,
        frame_samples=1,
    )


def publish(publisher: Publisher, step: int) -> None:
    """Hand over training batch `step`, whose loss is the step's number."""
    clean = np.full((1, SIZE, SIZE, 3), step % 251, dtype=np.uint8)
    gate = np.linspace(0.1, 0.9, 64, dtype=np.float32).reshape(1, 8, 8)
    publisher.batch(
        phase="train",
        epoch=0,
        batch_idx=step - 1,
        global_step=step,
        loss=float(step),
        input=clean,
        reconstruction=clean // 2,
        attention={"bam_2": gate},
    )


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("endpoint")
    parser.add_argument("outcome", type=Path)
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--run-name", default="bare")
    parser.add_argument("--incarnation", type=int, default=1)
    parser.add_argument("--journal-dir", type=Path, default=Path())
    parser.add_argument("--step-s", type=float, default=0.005)
    parser.add_argument("--close-timeout", type=float, default=10.0)
    parser.add_argument("--hold", type=Path, help="close only when this file is there")
    return parser.parse_args(arguments)


def _wait_for_release(file: Path) -> None:
    while not file.exists():
        time.sleep(0.01)


if __name__ == "__main__":
    main(sys.argv[1:])
