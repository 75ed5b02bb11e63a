"""A process that is killed at one line after another while it changes a tile's marks.

Run as ``python -m tests.analyzer_service.page.annotating.killed FOLDER``: for each n a copy of
``FOLDER/before`` is changed by a child that dies by SIGKILL at its n-th line in the modules that
write, until one lives to the end. Prints how many died.
"""

import itertools
import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from analyzer_service.page.annotating import durable, journal, readers, store
from analyzer_service.page.annotating.ops import apply_ops, read_ops
from tests.analyzer_service.page.annotating.drawing import put

TILE = "t"
WATCHED = frozenset(str(module.__file__) for module in (durable, journal, readers, store))


def change(output_dir: Path, *ops: dict[str, Any], reader: str = "anna") -> dict[str, Any]:
    """Apply operations to the tile as the page does."""
    folders = readers.ReaderFolders(output_dir / "auto_analysis_r", output_dir)
    document = store.Annotations(folders).change(
        reader,
        TILE,
        lambda before, at: apply_ops(before, read_ops({"ops": list(ops)}), at=at, colors={}),
    )
    return document.answer()


def further() -> dict[str, Any]:
    """The operation that is cut short."""
    return put(id_=f"{2:08x}-0000-4000-8000-000000000000") | {"op_id": "second"}


def _die_at(line: int) -> None:
    """Let this process be killed at its `line`-th line in the modules that write."""
    left = itertools.count(line, -1)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename not in WATCHED:
            return None
        if event == "line" and next(left) == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return trace

    sys.settrace(trace)


def main(folder: Path) -> None:
    os.fsync = lambda _: None  # what a process wrote outlives it without
    for line in itertools.count():
        place = folder / f"{line:04d}"
        shutil.copytree(folder / "before", place)
        child = os.fork()
        if child == 0:
            _die_at(line)
            change(place, further())
            os._exit(0)
        if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
            print(line)
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]))
