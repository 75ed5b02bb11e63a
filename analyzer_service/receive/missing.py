"""Says what recordings lack: damaged parts of files, and the batches that went with them."""

from analyzer_service.pipeline import Origin
from analyzer_service.receive.inventory import HeldOrigin, HeldRun, Inventory
from shared.messages import BatchMetrics, CriticalMessage
from shared.recording import Recorded


class Missing:
    """Collects, during a replay, which batches stand around each gap."""

    def __init__(self, inventory: Inventory) -> None:
        self._inventory = inventory
        self._batches: dict[tuple[str, Origin, int], BatchMetrics] = {}
        self._wanted = {
            (run.run_id, held.origin, cseq)
            for run in inventory.runs.values()
            for held in run.origins.values()
            for first, last in held.gaps
            for cseq in (first - 1, last + 1)
        }

    def note(self, origin: Origin, item: Recorded, message: CriticalMessage) -> None:
        """Keep `message` if it stands at the edge of a gap."""
        key = item.run_id, origin, item.sequence
        if key in self._wanted and isinstance(message, BatchMetrics):
            self._batches[key] = message

    def say(self, run: HeldRun) -> list[str]:
        """What `run` lacks, a sentence each."""
        return [line for held in run.origins.values() for line in self._lines(run, held)]

    def damage(self) -> list[str]:
        """What could not be read of the files, a line for each file."""
        lines = []
        for path, losses in self._inventory.losses.items():
            damaged = [loss for loss in losses if loss.nbytes]
            nbytes = sum(loss.nbytes for loss in damaged)
            parts = [f"{len(damaged)} parts damaged, {nbytes:,} bytes"] if damaged else []
            parts += [str(loss) for loss in losses[:5]]
            more = [f"and {len(losses) - 5} more"] if len(losses) > 5 else []
            lines.append(f"{path}: {'; '.join(parts + more)}")
        return lines

    def _lines(self, run: HeldRun, held: HeldOrigin) -> list[str]:
        who = held.origin.producer
        if held.origin.incarnation > 1:
            who += f" (start {held.origin.incarnation})"
        lines = []
        if not held.has_start:
            lines.append(f"{who}: its RunStarted, so its layers and configuration are not known")
        for first, last in held.gaps:
            if (first, last) != (1, 1):
                lines.append(
                    f"{who}: records {first} to {last}{self._around(run, held, first, last)}"
                )
        if not held.ended:
            lines.append(f"{who}: its end; the recording stops there, so the run counts as failed")
        return lines

    def _around(self, run: HeldRun, held: HeldOrigin, first: int, last: int) -> str:
        before = self._batches.get((run.run_id, held.origin, first - 1))
        after = self._batches.get((run.run_id, held.origin, last + 1))
        if before is None or after is None:
            one = before or after
            side = "after" if before else "before"
            return f", {side} {_name(one)}" if one else ""
        if before.phase == after.phase and after.phase_step - before.phase_step > 1:
            lost = f"{before.phase_step + 1} to {after.phase_step - 1}"
            return f": {before.phase} batches {lost} missing"
        return f", between {_name(before)} and {_name(after)}"


def _name(batch: BatchMetrics) -> str:
    return f"{batch.phase} batch {batch.phase_step}"
