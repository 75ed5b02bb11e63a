"""What is wrong with a run, in words, and what to do about it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

LOOP_STOOD_S: Final = 5.0
LATE_S: Final = 10.0
RANK_LATE_S: Final = 5.0
WORK_LATE_S: Final = 60.0
UNHEARD_S: Final = 15.0
LITTLE_ROOM_BYTES: Final = 2 << 30
NO_ROOM_BYTES: Final = 200 << 20
MANY_DROPPED: Final = 0.05
FEW_DROPPED: Final = 10


Part = Literal[
    "run", "books", "failures", "loop", "disk", "lag", "workers", "wandb", "trainer", "alerts"
]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong: `bad` where results are at stake, else worth a look.

    `part` is what it is about, `todo` what can be done.
    """

    level: Literal["bad", "warn"]
    part: Part
    what: str
    todo: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What a verdict goes by.

    Attributes
    ----------
    status : str
        Of the run; `reason` is why it ended so.
    silent_s : float or None
        Seconds since an analyzer last wrote, where none is at work any more.
    line : mapping
        The last line of `health.jsonl`, if an analyzer is at work that writes it; else empty.
    now : float
        Unix time in seconds.
    frames, records, failures, alerts
        As `analyzer_service.page.health.books` has them; `alerts` are those that go on.
    """

    status: str
    now: float
    reason: str | None = None
    silent_s: float | None = None
    line: Mapping[str, Any] = field(default_factory=dict)
    frames: Sequence[Mapping[str, Any]] = ()
    records: Sequence[Mapping[str, Any]] = ()
    failures: Sequence[Mapping[str, Any]] = ()
    alerts: Sequence[Mapping[str, Any]] = ()


def findings(facts: Facts) -> list[Finding]:
    """Everything that is wrong, the worst first; nothing where all is well."""
    found = [*_of_the_end(facts), *_of_the_books(facts), *_of_the_analyzer(facts)]
    found += [*_of_the_trainer(facts), *_of_the_alerts(facts)]
    return sorted(found, key=lambda finding: finding.level != "bad")


def _of_the_end(facts: Facts) -> Iterator[Finding]:
    why = f": {facts.reason}" if facts.reason else ""
    if facts.status == "failed":
        yield Finding(
            "bad",
            "run",
            f"The run failed{why}.",
            "What came until then is kept. The trainer's own output says more; "
            "`python -m trainer --resume CHECKPOINT` goes on from its last checkpoint.",
        )
    elif facts.status == "interrupted":
        yield Finding(
            "warn",
            "run",
            f"The run was interrupted{why}.",
            "`python -m trainer --resume CHECKPOINT` goes on from its last checkpoint.",
        )
    if facts.status == "running" and facts.silent_s is not None:
        yield Finding(
            "bad",
            "run",
            f"No analyzer is at work on this run, and has not been for {_time(facts.silent_s)}: "
            "it was killed, or its machine is gone.",
            "If the trainer goes on, start the analyzer again with the same --bind and "
            "--output-dir: the trainer keeps its records and hands them over.",
        )


def _of_the_books(facts: Facts) -> Iterator[Finding]:
    if not all(each["balances"] for each in facts.frames) or any(
        each["balances"] is False for each in facts.records
    ):
        yield Finding(
            "bad",
            "books",
            "The books do not balance.",
            "This is an error of Sidelight: please report it.",
        )
    lost = sum(each["lost"] or 0 for each in facts.records)
    if lost:
        yield Finding(
            "bad",
            "books",
            f"The trainer could not keep {lost:,} records.",
            "It had room for them neither in memory nor on its disk: make room where it runs.",
        )
    for failure in facts.failures:
        yield Finding(
            "bad" if failure["error"] else "warn",
            "failures",
            f"{failure['count']:,} {failure['words']}. The last one: {failure['last']}",
            "Something is missing and nothing tells why: please report it."
            if failure["error"]
            else "It was contained: everything else went on. The number of each kind is below.",
        )
    offered, dropped = (sum(each[name] for each in facts.frames) for name in ("offered", "dropped"))
    if dropped > max(FEW_DROPPED, MANY_DROPPED * offered):
        yield Finding(
            "warn",
            "books",
            f"{dropped:,} of {offered:,} frames were dropped ({dropped / offered:.0%}).",
            "Their batches have no attention numbers. The table of books says why; with a full "
            "queue, give the analyzer more --workers, or the trainer a larger --analysis-freq.",
        )


def _of_the_analyzer(facts: Facts) -> Iterator[Finding]:
    line = facts.line
    if _above(line.get("still_s"), LOOP_STOOD_S):
        yield Finding(
            "bad",
            "loop",
            f"The analyzer's ingest loop has stood still for {_time(line['still_s'])}.",
            "Its machine may be overloaded, or its disk may hang; the trainer keeps everything "
            "meanwhile.",
        )
    if line.get("store_failing") is True:
        yield Finding(
            "bad",
            "disk",
            "Results cannot be written.",
            "Make room on the disk of the output folder, or let the analyzer write there. Nothing "
            "is acknowledged until then, and the trainer keeps what it has.",
        )
    free = line.get("free_bytes")
    if isinstance(free, int) and free < LITTLE_ROOM_BYTES:
        yield Finding(
            "bad" if free < NO_ROOM_BYTES else "warn",
            "disk",
            f"Only {free / 2**20:,.0f} MiB are free on the disk of the output folder.",
            "Make room: a run's frames may take 2 GiB.",
        )
    if _above(line.get("work_lag_s"), WORK_LATE_S):
        yield Finding(
            "warn",
            "lag",
            f"Frames wait for {_time(line['work_lag_s'])} to be analyzed.",
            "The analysis is slower than the training: give the analyzer more --workers. No batch "
            "is lost; frames beyond the trainer's memory budget are dropped and counted.",
        )
    yield from _of_its_parts(line)


def _of_its_parts(line: Mapping[str, Any]) -> Iterator[Finding]:
    workers = _part(line, "workers")
    if workers.get("cluster_lost") is True:
        yield Finding(
            "warn",
            "workers",
            "The cluster is lost: frames are analyzed on the analyzer's machine.",
            "Nothing is missing, but it is slower. The analyzer goes back to the cluster by itself "
            "when its scheduler answers again; its log says what it lacks.",
        )
    elif workers.get("cluster_slots") == 0:
        yield Finding(
            "warn",
            "workers",
            "The cluster has no worker that can be used: frames are analyzed on the analyzer's "
            "machine.",
            "Start dask workers, with the analyzer's own versions of everything.",
        )
    lost = _whole(workers.get("lost"))
    if lost:
        yield Finding(
            "warn",
            "workers",
            f"{lost:,} worker processes were lost, and replaced.",
            "They ran past their time or were killed, for want of memory perhaps; a frame that is "
            "lost twice is counted as failed.",
        )
    if _part(line, "wandb").get("state") == "given_up":
        yield Finding(
            "warn",
            "wandb",
            "Logging to W&B fails.",
            "It is tried again every 5 minutes and at the run's end, with all rows. "
            "The run itself is complete here. The analyzer's log says why.",
        )


def _of_the_trainer(facts: Facts) -> Iterator[Finding]:
    line = facts.line
    if not line or facts.status != "running":
        return
    heard_at = line.get("heard_at")
    unheard_s = facts.now - heard_at if isinstance(heard_at, int | float) else None
    if line.get("connected") == 0:
        since = f" for {_time(unheard_s)}" if unheard_s is not None else ""
        yield Finding(
            "warn",
            "trainer",
            f"No trainer has been heard{since}.",
            "It is starting, cut off, or gone. One that stays silent is given up after the "
            "analyzer's --producer-timeout, and its run ends as failed.",
        )
    elif _above(unheard_s, UNHEARD_S):
        yield Finding(
            "warn",
            "trainer",
            f"A trainer was last heard {_time(unheard_s or 0)} ago.",
            "It may be stopped, or the network between may be cut.",
        )
    waited = _part(line, "waits_for")
    late = [f"{name} ({_time(s)})" for name, s in waited.items() if _above(s, RANK_LATE_S)]
    if late:
        yield Finding(
            "warn",
            "trainer",
            f"Results wait for {', '.join(late)}.",
            "Rows are released step by step, and what this rank has to say of the next one has "
            "not come. It is late, cut off, or gone; one that stays silent is given up after the "
            "analyzer's --producer-timeout. What the others said is committed.",
        )
    if _above(line.get("ingest_lag_s"), LATE_S):
        yield Finding(
            "warn",
            "lag",
            f"Records arrive {_time(line['ingest_lag_s'])} after they were made.",
            "The connection or this machine is slow, or the clocks of two machines differ.",
        )
    if _part(line, "alerts").get("stalled"):
        yield Finding(
            "warn",
            "trainer",
            "The trainer is connected and says nothing: its batches stay away.",
            "It may wait for data or hang; look at its process.",
        )


def _of_the_alerts(facts: Facts) -> Iterator[Finding]:
    titles = list(dict.fromkeys(str(alert["title"]) for alert in facts.alerts))
    if titles:
        many = (
            f"{len(facts.alerts)} alerts of the training go on"
            if len(facts.alerts) > 1
            else ("An alert of the training goes on")
        )
        named = ", ".join(titles[:3]) + (f" and {len(titles) - 3} more" if len(titles) > 3 else "")
        yield Finding(
            "warn", "alerts", f"{many}: {named}.", "Each says below what it saw, and since when."
        )


def _part(line: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = line.get(name)
    return part if isinstance(part, Mapping) else {}


def _whole(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _above(value: Any, limit: float) -> bool:
    return isinstance(value, int | float) and value > limit


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
