"""Time that a thread spends in certain calls: by the clock on the wall, and on a processor."""

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from torch import nn

from measure.output import spread


class Spent(NamedTuple):
    """Seconds: as they passed, and those in which the thread ran."""

    wall_s: float
    cpu_s: float

    @property
    def waiting_s(self) -> float:
        """What the thread waited for a processor or a lock; a little less, as clocks take time."""
        return max(0.0, self.wall_s - self.cpu_s)


class Stopwatch:
    """Adds up what calls take. The wall's clock is read within the processor's, which is slow."""

    def __init__(self) -> None:
        self._wall_s = 0.0
        self._cpu_s = 0.0

    def run(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call and measure."""
        ran_s, began_s = time.thread_time(), time.perf_counter()
        result = call(*args)
        self._wall_s += time.perf_counter() - began_s
        self._cpu_s += time.thread_time() - ran_s
        return result

    def time_hooks(self, model: nn.Module) -> None:
        """Measure every forward hook that is on `model` now."""
        for module in model.modules():
            for hooks in (module._forward_hooks, module._forward_pre_hooks):
                for key, hook in hooks.items():
                    hooks[key] = self._timed(hook)

    def take(self) -> Spent:
        """What was spent since the last time."""
        spent = Spent(self._wall_s, self._cpu_s)
        self._wall_s = self._cpu_s = 0.0
        return spent

    def _timed(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        def timed_hook(*args: Any) -> Any:
            ran_s, began_s = time.thread_time(), time.perf_counter()
            result = hook(*args)
            self._wall_s += time.perf_counter() - began_s
            self._cpu_s += time.thread_time() - ran_s
            return result

        return timed_hook


def describe(spent: Sequence[Spent]) -> dict[str, Any]:
    """Spreads in microseconds."""
    return {
        "wall_us": spread([1e6 * each.wall_s for each in spent]),
        "cpu_us": spread([1e6 * each.cpu_s for each in spent]),
        "waiting_us": spread([1e6 * each.waiting_s for each in spent]),
    }
