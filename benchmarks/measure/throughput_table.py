"""The results of `benchmarks/throughput.py` as a table, and which of the aims they meet."""

from typing import Any, Final

_AIMS: Final = (
    ("scalars", "batches_per_s", 5000, "batches/s"),
    ("frames, no work", "mb_per_s", 500, "MB/s"),
)


def table(results: dict[str, Any]) -> None:
    """Print everything."""
    about = results["machine"]
    print(
        f"{about['cores']} cores, load {about['load_before']} to {about['load_after']}, "
        f"the median of {results['rounds']} rounds\n"
    )
    _live(results["live"], results["plain"])
    _files(results["recordings"], results["replay"])
    for line in [*_aims(results["live"]), *_curve(results["plain"])]:
        print(line)


def _live(live: list[dict[str, Any]], plain: list[dict[str, Any]]) -> None:
    print(
        f"{'':<30}{'batches/s':>11}{'MB/s':>8}{'CPU s: analyzer':>17}{'trainer':>9}"
        f"{'of plain zmq':>14}{'which does':>12}"
    )
    for case, beside in zip(live, plain, strict=True):
        name = f"{case['case']}, {case['transport']}"
        share = case["batches_per_s"] / beside["batches_per_s"]
        print(
            f"{name:<30}{case['batches_per_s']:>11,.0f}{_mb(case):>8}"
            f"{case['analyzer_cpu_s']:>17.2f}{case['trainer_cpu_s']:>9.2f}{share:>14.0%}"
            f"{_mb(beside) or format(beside['batches_per_s'], ',.0f'):>12}"
        )
    print()


def _mb(case: dict[str, Any]) -> str:
    return "" if case["mb_per_s"] is None else f"{case['mb_per_s']:,.0f}"


def _files(recordings: list[dict[str, Any]], replays: list[dict[str, Any]]) -> None:
    print(f"{'':<46}{'write MB/s':>11}{'items/s':>10}{'read MB/s':>11}{'items/s':>10}")
    for case in recordings:
        print(
            f"{case['case'] + ', ' + case['by']:<46}{case['write_mb_per_s']:>11,.0f}"
            f"{case['write_items_per_s']:>10,}{case['read_mb_per_s']:>11,.0f}"
            f"{case['read_items_per_s']:>10,}"
        )
    print()
    for case in replays:
        print(f"{case['case']}: {case['batches_per_s']:,} batches/s, {case['mb_per_s']:,.0f} MB/s")
    print()


def _aims(live: list[dict[str, Any]]) -> list[str]:
    lines = []
    for name, rate, aim, unit in _AIMS:
        for case in (case for case in live if case["case"] == name):
            verdict = "met" if case[rate] >= aim else "missed"
            reached = f"{case[rate]:,.0f} {unit}"
            lines.append(f"aim {aim:,} {unit}, {name}, {case['transport']}: {verdict} ({reached})")
    return lines


def _curve(plain: list[dict[str, Any]]) -> list[str]:
    """What encryption takes of each side, from the plain rows of large frames."""
    rows = {case["transport"]: case for case in plain if case["case"] == "frames, no work"}
    tcp, curve = rows["tcp"], rows["curve"]
    gb = curve["mb_per_s"] * curve["seconds"] / 1000
    sides = [(curve[side] - tcp[side]) / gb for side in ("trainer_cpu_s", "analyzer_cpu_s")]
    return [
        f"CURVE takes {sides[0]:.1f} s of a core for each GB at the trainer, {sides[1]:.1f} s at "
        "the analyzer, in ZeroMQ's one I/O thread of each"
    ]
