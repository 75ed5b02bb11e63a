"""May this producer be heard? What a Hello must agree with."""

from shared.errors import ConfigurationError
from shared.messages import SCHEMA_VERSION, RunStarted
from shared.naming import check_run_name
from shared.protocol import PROTOCOL_VERSION, Hello, dotted

_REMEDY = "install the same Sidelight on both sides"


def refusal(hello: Hello) -> str | None:
    """Why `hello` cannot be heard, in a sentence, or None."""
    for what, theirs, ours in (
        ("protocol", hello.protocol, PROTOCOL_VERSION),
        ("message", hello.schema_version, SCHEMA_VERSION),
    ):
        if theirs[0] != ours[0]:
            return other_major(what, theirs, ours)
    try:
        check_run_name(hello.run_name)
    except ConfigurationError as error:
        return str(error)
    return None


def other_major(what: str, theirs: tuple[int, int], ours: tuple[int, int]) -> str:
    """Says that a producer's version is another one, and what to do."""
    return (
        f"this analyzer speaks {what} version {dotted(ours)}, the producer {dotted(theirs)}: "
        f"{_REMEDY}"
    )


def contradiction(hello: Hello, started: RunStarted) -> str | None:
    """What a RunStarted says that its connection's Hello did not, or None."""
    for name in ("run_id", "run_name", "producer", "incarnation"):
        said, says = getattr(hello, name), getattr(started, name)
        if said != says:
            return f"the connection was opened for {name} {said!r:.80}, its run says {says!r:.80}"
    return None


def taken(hello: Hello, instance: str) -> str:
    """Says that another process holds the identity of `hello`."""
    return (
        f"producer {hello.producer!r} of run {hello.run_name!r} is already connected as instance "
        f"{instance!r}; this one is {hello.instance!r}: give each process its own producer name, "
        "or another --run-name"
    )


def full(most: int) -> str:
    """Says that so many producers are heard already."""
    return (
        f"this analyzer hears {most} producers already: start another one, or give it a larger "
        "--max-trainers"
    )
