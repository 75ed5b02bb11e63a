"""``python -m analyzer_service.metrics.probe URL``: a health check that says what is wrong.

It prints what ``/healthz`` or ``/readyz`` answer, which the container's log of health checks keeps,
and exits with 0 for 200 and 1 for all else. Nothing but the standard library is imported: it runs
every few seconds.
"""

import sys
from http.client import HTTPException
from typing import Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

_LIMIT_S: Final = 5.0


def ask(url: str, *, limit_s: float = _LIMIT_S) -> tuple[bool, str]:
    """Whether `url` answers with 200, and what it says; of nothing else than `url` itself."""
    direct = build_opener(ProxyHandler({}))  # a proxy of the environment is for other hosts
    try:
        with direct.open(url, timeout=limit_s) as answer:
            return answer.status == 200, answer.read().decode("utf-8", "replace").strip()
    except HTTPError as error:
        with error:
            return False, error.read().decode("utf-8", "replace").strip()
    except (OSError, HTTPException, ValueError) as error:
        return False, f"{url} does not answer: {error}"


def main() -> None:
    """Ask the address of the command line."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m analyzer_service.metrics.probe http://HOST:PORT/readyz")
    well, said = ask(sys.argv[1])
    print(said)
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
