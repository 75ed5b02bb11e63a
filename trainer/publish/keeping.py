"""What stands in the journal and when: the promise that nothing is lost while nobody listens."""

import math
import time
from typing import Final

from trainer.publish.frames import FrameWindow
from trainer.publish.journal import Journal
from trainer.publish.records import UnackedWindow

_FRAMES_S: Final = 0.05


class Keeper:
    """Writes records and frames to the journal in time, and lets go of what is safe there.

    Parameters
    ----------
    journal : Journal
        Where to.
    interval_s : float
        A record that is unacknowledged for so long stands in the flushed journal.
    alone : bool
        True when nobody but the recording gets anything: what stands there is delivered.
    """

    def __init__(
        self,
        window: UnackedWindow,
        frames: FrameWindow,
        journal: Journal,
        *,
        interval_s: float,
        alone: bool,
    ) -> None:
        self._window = window
        self._frames = frames
        self._journal = journal
        # Part of the interval to be written, part to be flushed: together they keep the promise.
        self._part_s = 0.45 * interval_s
        self._alone = alone
        self._flushed_at_s = -math.inf
        self._looked_at_s = -math.inf

    def keep(self, now_s: float, *, connected: bool) -> None:
        """Write what is due, flush when that is due."""
        everything = self._journal.everything
        self._write_records(now_s - (0.0 if everything else self._part_s))
        if everything:  # before they can be confirmed, and forgotten
            self._write_frames(math.inf)
        elif not connected and now_s - self._looked_at_s >= self._part_s:
            # Looking at every turn would cost more than what is new.
            self._write_frames(now_s + _FRAMES_S)
            self._looked_at_s = now_s
        if now_s - self._flushed_at_s >= self._part_s:
            self._flush()
            self._flushed_at_s = now_s
            if self._journal.outgrown and self._window.all_acked:
                self._begin_anew()

    def keep_all(self, *, until_s: float) -> None:
        """Write and flush every record, and then as many frames as fit in until `until_s`."""
        self._write_records(math.inf)
        self._flush()
        self._write_frames(until_s)
        self._flush()

    def make_room(self) -> None:
        """Let records leave memory, once they are written."""
        self._window.evict()
        if self._window.full:
            self._write_records(math.inf)
            self._flush()
            self._window.evict()

    def _flush(self) -> None:
        if not self._journal.flush():
            return
        self._window.flushed()
        if self._alone:
            self._confirm()

    def _begin_anew(self) -> None:
        self._journal.begin_anew()
        for frame in self._frames.unconfirmed():
            frame.journaled = False

    def _write_records(self, older_than_s: float) -> None:
        for record in self._window.unjournaled(older_than_s=older_than_s):
            if not self._journal.write_record(record):
                return
            self._window.written(record.cseq)

    def _write_frames(self, until_s: float) -> None:
        if self._journal.full or not self._journal.takes:
            return
        for frame in self._frames.unjournaled():
            if time.monotonic() >= until_s or not self._journal.write_frame(frame):
                return

    def _confirm(self) -> None:
        """Without an analyzer, what stands in the recording counts as delivered."""
        self._window.ack(self._window.flushed_cseq)
        self._frames.credit(1 << 62)
        while (frame := self._frames.next_frame()) is not None and frame.journaled:
            self._frames.sent(frame)
            self._frames.delivered(frame.stream, [frame.fseq])
