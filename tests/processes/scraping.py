"""Asks an analyzer's /metrics and /healthz as Prometheus and a container's health check do."""

import http.client
import json
import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_S = 10.0  # Prometheus's own default
Numbers = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Scraped:
    """Every number of one scrape."""

    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def value(self, name: str, **labels: str) -> float:
        """The one sample of exactly these labels."""
        return self._numbers[name, frozenset(labels.items())]

    def total(self, name: str, **labels: str) -> float:
        """Sum over the samples that have these labels, whatever else they have."""
        wanted = set(labels.items())
        return sum(
            value
            for (each, found), value in self._numbers.items()
            if each == name and wanted <= found
        )

    def books(self, prefix: str, **labels: str) -> tuple[int, int, int, int]:
        """Frames offered, delivered, dropped and pending, as one side counts them."""
        names = ("offered_total", "delivered_total", "dropped_total", "pending")
        offered, delivered, dropped, pending = (
            int(self.total(f"{prefix}_frames_{name}", **labels)) for name in names
        )
        return offered, delivered, dropped, pending


def port_of(log: Path) -> int | None:
    """Port at which an analyzer with this log serves metrics, once it says so."""
    found = re.search(r"metrics at http://127\.0\.0\.1:([0-9]+)/metrics", log.read_text())
    return None if found is None else int(found[1])


def scrape(port: int) -> Scraped:
    """Metrics, read by the parser that comes with prometheus-client."""
    status, text = get(port, "/metrics")
    assert status == 200
    families = text_string_to_metric_families(text)
    return Scraped(
        {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }
    )


def health(port: int) -> tuple[int, dict[str, Any]]:
    """Status and body of /healthz."""
    status, text = get(port, "/healthz")
    body: dict[str, Any] = json.loads(text)
    return status, body


def ready(port: int) -> tuple[int, dict[str, Any]]:
    """Status and body of /readyz."""
    status, text = get(port, "/readyz")
    body: dict[str, Any] = json.loads(text)
    return status, body


def get(port: int, path: str) -> tuple[int, str]:
    """Status and text of a page."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()
