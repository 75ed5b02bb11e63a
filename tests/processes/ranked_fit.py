"""The trainer's own command line, whose rank 1 reaches the analyzer by another port.

``python -m tests.processes.ranked_fit FLAGS…``; FLAGS are those of ``python -m trainer``, and the
port stands in `VARIABLE`.
"""

import os
import sys

from trainer.cli import main

VARIABLE = "PORT_OF_RANK_1"

if __name__ == "__main__":
    if os.environ.get("LOCAL_RANK") == "1":
        place = sys.argv.index("--sidecar") + 1
        sys.argv[place] = f"tcp://127.0.0.1:{os.environ[VARIABLE]}"
    main()
