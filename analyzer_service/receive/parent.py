"""Is the process that started this one still there?"""

import os


class Parent:
    """Watches process `pid`, usually the parent of this one."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._direct = os.getppid() == pid

    def alive(self) -> bool:
        """Tell whether it still runs.

        The parent's own number changes as soon as it ends, even before its death is noticed
        by whoever started it; for any other process that is all there is to see.
        """
        if self._direct:
            return os.getppid() == self._pid
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
