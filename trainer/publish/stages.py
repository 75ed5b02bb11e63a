"""The stages between a hand-over and the analyzer: made together, used by one sender thread."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from shared.messages import RunStarted
from shared.protocol import Hello
from trainer.publish.frames import FrameWindow
from trainer.publish.inbox import Inbox
from trainer.publish.journal import Journal
from trainer.publish.records import UnackedWindow
from trainer.publish.settings import PublishSettings
from trainer.publish.target import Target
from trainer.ranks import file_of_rank

if TYPE_CHECKING:  # a recording without an analyzer must not import ZeroMQ
    from trainer.publish.delivery import Delivery
    from trainer.publish.link import Link


@dataclass(frozen=True)
class Stages:
    """What one sender works with; `delivery` and `link` are None when only recording.

    `analyzer_lives` tells of an analyzer of one's own whether its process still runs.
    """

    inbox: Inbox
    window: UnackedWindow
    frames: FrameWindow
    journal: Journal
    delivery: "Delivery | None"
    link: "Link | None"
    analyzer_lives: Callable[[], bool] | None = None


def make_stages(
    run: RunStarted,
    settings: PublishSettings,
    target: Target | None,
    record: Path | None,
    *,
    analyzer_lives: Callable[[], bool] | None = None,
    rank: int = 0,
) -> Stages:
    """Stages of `run`; without a `target` no socket is opened.

    Raises
    ------
    ConfigurationError
        If the file `record` exists or cannot be made, or `target` cannot be connected to.
    """
    inbox = Inbox(settings.capture_bytes, batches_bytes=settings.unacked_bytes)
    window = UnackedWindow(settings.unacked_bytes)
    frames = FrameWindow(settings.queue_bytes)
    journal_path = settings.journal_dir / f"{run.run_name}.journal.mcap"
    path = record or file_of_rank(journal_path, rank)
    limit_bytes = None if record is not None else settings.journal_bytes
    journal = Journal(run, path, everything=record is not None, limit_bytes=limit_bytes)
    if target is None:
        return Stages(inbox, window, frames, journal, delivery=None, link=None)
    # ZeroMQ is imported only where a socket is wanted: recording alone does without it.
    from trainer.publish.delivery import Delivery
    from trainer.publish.link import Link

    sockets = target.connect()
    link = Link(sockets, _hello(run, rank), unanswered=target.unanswered)
    delivery = Delivery(sockets, link, window, frames, journal)
    return Stages(inbox, window, frames, journal, delivery, link, analyzer_lives)


def _hello(run: RunStarted, rank: int) -> Hello:
    return Hello(
        run_id=run.run_id,
        run_name=run.run_name,
        producer=run.producer,
        instance=secrets.token_hex(8),
        incarnation=run.incarnation,
        rank=rank,
        world_size=run.world_size,
        next_cseq=1,
    )
