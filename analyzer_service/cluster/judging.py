"""What becomes of a call that a cluster has answered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from analyzer_service.cluster.chunks import AnsweredCall
from analyzer_service.cluster.outbox import TravelingCall
from analyzer_service.workers.protocol import Outcome, describe


@dataclass(frozen=True, slots=True)
class RunHere:
    """To be run on this machine: what the answer leaves to be done, or all of it, `because`."""

    function: Callable[..., Any]
    args: tuple[Any, ...]
    because: str | None = None


def judge(call: TravelingCall, answered: AnsweredCall) -> Outcome[Any] | RunHere:
    """Whether the call has ended with that answer; never raises, whatever the answer is.

    What went wrong there may be of that machine: it has no memory left, or no disk. So nothing
    fails before it has failed here. A time limit is a time limit, there as here.
    """
    if answered.how == "timed_out":
        return Outcome(answered.how, None, answered.error, answered.errno)
    if answered.how != "done":
        return RunHere(call.function, call.args, answered.error or answered.how)
    remote = call.remote
    try:
        value = remote.unpack_value(answered.value)
        follow = None if remote.follow_up is None else remote.follow_up(value, call.args)
    except Exception as error:  # the stage's edge: the answer is none to this call
        return RunHere(call.function, call.args, f"no answer to the call: {describe(error)}")
    return Outcome("done", value) if follow is None else RunHere(*follow)
