"""The process that runs apprise, which may hang or take its time: it is killed when it does.

``python -m analyzer_service.sinks.notifier_child`` reads one JSON object from its input (`urls`,
`title`, `body`), sends it to every address, and prints which ones failed. Addresses hold
passwords, so they are neither arguments nor in anything that is said.
"""

import json
import sys
from typing import Any


def send(request: dict[str, Any]) -> list[str]:
    """Send a request; return the failures, each by the kind of its address and its place."""
    import apprise

    failed = []
    for place, url in enumerate(request["urls"], start=1):
        sender = apprise.Apprise()
        known = sender.add(url)
        if not known or not sender.notify(title=request["title"], body=request["body"]):
            why = "was not sent" if known else "is no address that apprise knows"
            failed.append(f"{url.partition(':')[0][:20]} (address {place}) {why}")
    return failed


def main() -> None:
    """Answer the request on stdin."""
    try:
        failed = send(json.load(sys.stdin))
    except Exception as error:  # apprise and its services raise what they like
        failed = [type(error).__name__]
    print(json.dumps(failed))


if __name__ == "__main__":
    main()
