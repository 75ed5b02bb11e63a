"""The figures of `benchmarks/cluster.py` as text, and as lines of the table in docs/scale.md."""

from typing import Any

import numpy as np


def table(found: dict[str, Any]) -> None:
    about = found["machine"]
    print(
        f"{about['cores']} cores, load {about['load_before']} before, {found['load_after']} "
        f"after; {found['batches']} batches, {len(found['contestants'][0]['rounds'])} rounds\n"
    )
    _replays(found["contestants"])
    _chunks(found["contestants"])
    print("\nFor docs/scale.md:\n")
    for line in lines(found):
        print(line)


def _replays(made: list[dict[str, Any]]) -> None:
    base = _of(made[0], "batches_per_s")
    print("replay          batches/s, median    against local, 1 of the same round: median (range)")
    for each in made:
        rates = _of(each, "batches_per_s")
        ratios = rates / base
        print(
            f"{each['name']:<14}  {np.median(rates):17.1f}    "
            f"{np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"
        )
    rows = {digest for each in made for digest in each["rows"]}
    print(f"rows are equal: {'yes' if len(rows) == 1 else 'NO'}\n")


def _chunks(made: list[dict[str, Any]]) -> None:
    print("a chunk of those replays    batches   ms of a core: scheduler   client    brought back")
    for each in made:
        if "chunks" not in each["rounds"][0]:
            continue
        chunks = _of(each, "chunks").sum()
        scheduler = 1000 * _of(each, "scheduler_cpu_s").sum() / chunks
        client = 1000 * _of(each, "client_cpu_s").sum() / chunks
        print(
            f"{each['name']:<26}  {_of(each, 'calls').sum() / chunks:7.1f}   "
            f"{scheduler:23.1f}   {client:6.1f}    {int(_of(each, 'brought_back').sum()):12}"
        )


def lines(found: dict[str, Any]) -> list[str]:
    """Rows of the table of units, and the sentence below it."""
    made, rounds = found["contestants"], len(found["contestants"][0]["rounds"])
    ratios = "; ".join(_ratio(made, each) for each in made[1:])
    return [
        _row(
            "a run that is replayed, besides its batches",
            f"{found['replayed_run_s']:.2f} s (JSON, report)",
            "`benchmarks/cluster.py`, a recording of one batch",
        ),
        *_idle(found["idle"]),
        *_passage(found["passage"]),
        f"Against one local process, median (range) of {rounds} rounds in turns: {ratios}.",
    ]


def _idle(idle: dict[str, float]) -> list[str]:
    each = 100 * (idle["cores"] - idle["cores_without"]) / idle["runs"]
    costs = f"{each:.1g} % of a core ({idle['runs']} of them: {100 * idle['cores']:.0f} %)"
    return [_row("an idle run", costs, "the same")]


def _passage(passage: dict[str, Any]) -> list[str]:
    full, empty = passage["full"], passage["empty"]
    both, of_empty = (one["client_cpu_ms"] + one["scheduler_cpu_ms"] for one in (full, empty))
    return [
        _row(
            f"a chunk of {passage['chunk_bytes'] >> 20} MiB through dask",
            f"{both:.0f} ms of a core, client ({full['client_cpu_ms']:.0f}) and scheduler "
            f"({full['scheduler_cpu_ms']:.0f}) together; {full['ms']:.0f} ms to pass",
            "the same",
        ),
        _row(
            "an empty chunk through dask",
            f"{of_empty:.1f} ms of a core; {empty['ms']:.1f} ms to pass",
            "the same",
        ),
        _row(
            "dask's scheduler",
            f"{full['mb_per_s']:.0f} MB/s of frames, a worker on the same machine; "
            f"{full['mb_a_scheduler_core_s']:.0f} MB for each second of its core",
            "the same",
        ),
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _ratio(made: list[dict[str, Any]], each: dict[str, Any]) -> str:
    ratios = _of(each, "batches_per_s") / _of(made[0], "batches_per_s")
    return f"{each['name']}: {np.median(ratios):.2f} ({ratios.min():.2f} to {ratios.max():.2f})"


def _of(each: dict[str, Any], key: str) -> np.ndarray:
    return np.array([one[key] for one in each["rounds"]], dtype=float)
