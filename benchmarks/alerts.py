"""What alerts cost a row: the rules of a run and its two attention layers, over made series.

    python benchmarks/alerts.py [ROWS]

Prints microseconds a row (the median of five rounds, each with an engine of its own, one thread)
and the size of the state at its ends.
"""

import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from analyzer_service.alerts.engine import AlertEngine
from analyzer_service.alerts.settings import AlertSettings
from tests.analyzer_service.alerts.series import LAYERS, healthy

ROUNDS = 5


def main(count: int) -> None:
    rows = list(healthy(count))
    costs = []
    for _ in range(ROUNDS):
        engine = AlertEngine(AlertSettings())
        begun = time.process_time()
        for row in rows[: len(rows) // 10]:
            engine.row(row, LAYERS)
        early = len(engine.dump())
        for row in rows[len(rows) // 10 :]:
            engine.row(row, LAYERS)
        costs.append((time.process_time() - begun) / len(rows) * 1e6)
    watched = sum(len(rank.watches) for rank in engine._ranks.values())
    print(
        f"{len(rows)} rows, {watched} rules: {statistics.median(costs):.0f} µs a row "
        f"({min(costs):.0f} to {max(costs):.0f}); state {early} bytes after a tenth of them, "
        f"{len(engine.dump())} at the end"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
