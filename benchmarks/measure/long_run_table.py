"""The results of `benchmarks/long_run.py` as a table."""

from collections.abc import Iterator
from typing import Any


def table(found: dict[str, Any]) -> None:
    """Print everything."""
    about = found["machine"]
    print(
        f"{found['batches']:,} batches in {found['seconds']:,} s, {found['rows_per_s']:,} rows/s, "
        f"{found['frames']:,} frames; {about['cores']} cores, load {about['load_before']} to "
        f"{about['load_after']}\n"
    )
    print(f"{'resident MiB':<14}{'2nd fifth':>11}{'last':>9}{'most':>9}{'per 100,000 batches':>22}")
    for side, mib in found["memory_mib"].items():
        print(
            f"{side:<14}{mib['second_fifth']:>11}{mib['last_fifth']:>9}{mib['most']:>9}"
            f"{mib['slope_per_100k']:>+22}"
        )
    print(f"WAL: most {found['wal_mib']['most']} MiB; journal: {found['journal_mib']} MiB\n")
    print("rows/s by tenths of the run: " + " ".join(f"{rate:,}" for rate in found["rates"]))
    print(
        f"last fifth against the second: {found['rate_last_to_second']:.0%}; handed over and not "
        f"released: at most {found['most_behind']:,} rows\n"
    )
    _disk(found["disk"])
    for name, cost in found["last_files"].items():
        print(f"{name:<14}{cost['seconds']:>8} s, {cost['more_mib']:>7} MiB more meanwhile")
    print(f"\n{'page':<26}{'first s':>9}{'median s':>10}{'bytes':>10}")
    for what, cost in found["page"].items():
        print(f"{what:<26}{cost['first_s']:>9}{cost['median_s']:>10}{cost['bytes']:>10,}")
    print()
    for aim, met, reached in _aims(found):
        print(f"aim {aim}: {'met' if met else 'missed'} ({reached})")


def _disk(found: dict[str, Any]) -> None:
    print(f"{'disk':<14}{'MB':>10}{'bytes a batch':>16}")
    for kind, nbytes in found["bytes"].items():
        print(f"{kind:<14}{nbytes / 1e6:>10.1f}{found['a_batch'][kind]:>16}")
    parts = [f"{name} {nbytes:g}" for name, nbytes in found["tables_a_batch"].items()]
    print(f"database, bytes a batch: {', '.join(parts) or 'unknown'}\n")


def _aims(found: dict[str, Any]) -> Iterator[tuple[str, bool, str]]:
    for side, mib in found["memory_mib"].items():
        more = mib["last_fifth"] - mib["second_fifth"]
        yield f"memory of the {side} is flat", more <= 0.1 * mib["second_fifth"], f"{more:+.1f} MiB"
    rate = found["rate_last_to_second"]
    yield "the commit rate does not fall below 90 %", rate >= 0.9, f"{rate:.0%}"
    seconds = found["last_files"]["report"]["seconds"]
    yield "report in 2 s", seconds < 2, f"{seconds} s"
    slowest = max(cost["first_s"] for cost in found["page"].values())
    yield "page in 1 s", slowest < 1, f"{slowest} s"
