"""Which calls may run on another machine, and how their arguments and values travel there.

Both travel as msgpack: a closed set of plain types, so that what an answer holds is never
unpickled. A call is found by the name of its `RemoteCall`; no other function can be named.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeAlias

from shared.errors import ContractError

Plain: TypeAlias = Any
"""None, bool, int, float, str, bytes, and lists and dicts of these."""
FollowUp: TypeAlias = tuple[Callable[..., Any], tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class RemoteCall:
    """A function that may run on another machine.

    Attributes
    ----------
    name : str
        ``module:attribute`` of this object.
    function : callable
        What runs there, in a child process: ``function(view, *args)``, or ``function(*args)``
        without a payload. It must write no file: the machine has folders of its own.
    pack_args, unpack_args : callable
        From the arguments to something plain, and back to a tuple.
    pack_value, unpack_value : callable
        The same for what it returns.
    follow_up : callable, optional
        Of value and arguments: a function, importable by name, and its arguments, to be called on
        the machine that asked, with the same payload; what that returns is the value then.
        Whatever this or `unpack_value` raises means that the value is none to this call.
    """

    name: str
    function: Callable[..., Any]
    pack_args: Callable[..., Plain]
    unpack_args: Callable[[Plain], tuple[Any, ...]]
    pack_value: Callable[[Any], Plain]
    unpack_value: Callable[[Plain], Any]
    follow_up: Callable[[Any, tuple[Any, ...]], FollowUp | None] | None = None


def resolve_call(name: str) -> RemoteCall:
    """The `RemoteCall` of that name.

    Raises
    ------
    ContractError
        If there is none.
    """
    module, _, attribute = name.partition(":")
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ContractError(f"no remote call is named {name!r}: {error}") from error
    if not isinstance(found, RemoteCall) or found.name != name:
        raise ContractError(f"{name!r} is no remote call")
    return found
