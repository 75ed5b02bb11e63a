"""A forked child (a DataLoader's worker) inherits what watches a fit; there it is put aside.

Threads are not there, and sockets, files and device memory are the parent's: a child can neither
use nor destroy them. So it forgets them without letting them go.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

T = TypeVar("T")

_owners: WeakKeyDictionary[Any, Callable[[Any], Any]] = WeakKeyDictionary()
_kept: list[Any] = []


def put_aside_in_children(owner: T, put_aside: Callable[[T], Any]) -> None:
    """From now on call ``put_aside(owner)`` in every forked child, and keep what it returns."""
    _owners[owner] = put_aside


def _in_child() -> None:
    for owner, put_aside in list(_owners.items()):
        _kept.append(put_aside(owner))


os.register_at_fork(after_in_child=_in_child)
