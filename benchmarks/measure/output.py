"""Percentiles, tables and JSON."""

import argparse
import json
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np


def parser(doc: str) -> argparse.ArgumentParser:
    """Options that every benchmark takes."""
    made = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--json", help="file for the results, or - for the output")
    return made


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, 99th percentile (the nearest measured value above) and largest value."""
    p99 = np.percentile(values, 99, method="higher")
    return {
        "count": len(values),
        "median": round(float(np.median(values)), 2),
        "p99": round(float(p99), 2),
        "max": round(float(max(values)), 2),
    }


def machine() -> dict[str, Any]:
    """What figures depend on, without a name."""
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def show(
    results: dict[str, Any], table: Callable[[dict[str, Any]], None], target: str | None
) -> None:
    """Print a table, and give the JSON to a file; or print only the JSON."""
    text = json.dumps(results, indent=2)
    if target == "-":
        print(text)
        return
    table(results)
    if target:
        Path(target).write_text(text + "\n")
