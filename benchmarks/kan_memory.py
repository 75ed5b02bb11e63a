"""Memory of a KAN convolution: padded basis expansion against unfolding.

Each measurement is one training pass (forward and backward) in a process of its own; what is
reported is the peak resident memory beyond what the process had before the pass.

    python benchmarks/kan_memory.py [--case N,C,H,W ...] [--json FILE|-]
"""

import argparse
import json
import multiprocessing
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CASES = ("2,8,64,64", "2,16,64,64", "2,3,128,128")
MIB = 1 << 20


def measure(kind: str, shape: tuple[int, ...]) -> dict[str, float]:
    """Peak memory and time of one training pass."""
    import resource

    import psutil
    import torch

    from tests.trainer.model.unfolded_kan import unfolded_forward
    from trainer.model.kan import KANConv2d

    torch.set_num_threads(1)
    torch.manual_seed(0)
    layer = KANConv2d(shape[1], shape[1])
    warm = torch.randn(1, shape[1], 8, 8, requires_grad=True)
    run = layer if kind == "padded" else lambda x: unfolded_forward(layer, x)
    run(warm).sum().backward()
    x = torch.randn(*shape, requires_grad=True)
    before = psutil.Process().memory_info().rss
    began_s = time.perf_counter()
    run(x).sum().backward()
    spent_ms = (time.perf_counter() - began_s) * 1e3
    unit = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {"mib": max(peak - before, 0) / MIB, "ms": spent_ms}


def compare(case: str) -> dict[str, Any]:
    """Both ways for one input shape."""
    shape = tuple(map(int, case.split(",")))
    found: dict[str, Any] = {"shape": list(shape)}
    for kind in ("unfolded", "padded"):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(measure, (kind, shape))
        found |= {f"{kind}_{name}": round(value, 2) for name, value in result.items()}
    found["memory_ratio"] = round(found["unfolded_mib"] / max(found["padded_mib"], 0.01), 1)
    return found


def show(cases: list[dict[str, Any]]) -> None:
    print(f"{'N,C,H,W':>14} {'unfolded':>13} {'padded':>12} {'ratio':>7} {'time':>21}")
    for case in cases:
        shape = ",".join(map(str, case["shape"]))
        print(
            f"{shape:>14} {case['unfolded_mib']:>9.1f} MiB {case['padded_mib']:>8.1f} MiB "
            f"{case['memory_ratio']:>6.1f}x {case['unfolded_ms']:>7.0f} -> "
            f"{case['padded_ms']:.0f} ms"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", action="append", help="shape of the input, N,C,H,W")
    parser.add_argument("--json", help="file for the results, or - for the output")
    options = parser.parse_args()
    cases = [compare(case) for case in options.case or CASES]
    results = json.dumps({"benchmark": "kan_memory", "cases": cases}, indent=2)
    if options.json == "-":
        print(results)
        return
    show(cases)
    if options.json:
        Path(options.json).write_text(results + "\n")


if __name__ == "__main__":
    main()
