// Undo and redo of one tile's changes, as long as the page is open.
import type { Op } from "./types";

interface Step {
  name: string;
  forward: Op[];
  back: Op[];
}

export class History {
  private past: Step[] = [];
  private future: Step[] = [];

  did(name: string, forward: Op[], back: Op[]): void {
    if (!back.length) return;
    this.past.push({ name, forward, back });
    this.future = [];
  }

  undo(): { name: string; ops: Op[] } | null {
    const step = this.past.pop();
    if (!step) return null;
    this.future.push(step);
    return { name: step.name, ops: step.back };
  }

  redo(): { name: string; ops: Op[] } | null {
    const step = this.future.pop();
    if (!step) return null;
    this.past.push(step);
    return { name: step.name, ops: step.forward };
  }

  get undoable(): string | null {
    return this.past.at(-1)?.name ?? null;
  }

  get redoable(): string | null {
    return this.future.at(-1)?.name ?? null;
  }
}
