"""Where analyses run: a small Protocol, a pool of killable processes, and one for tests."""

from analyzer_service.workers.inline import InlineWorkers
from analyzer_service.workers.pool import PoolWorkers
from analyzer_service.workers.protocol import Outcome, Ticket, Workers

__all__ = ["InlineWorkers", "Outcome", "PoolWorkers", "Ticket", "Workers"]
