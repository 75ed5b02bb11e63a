// Texts that follow a drawing: all of them at once, and no more often than anybody reads. To lay
// them out anew in each frame takes as long as to draw all charts.
import { useEffect, useState } from "preact/hooks";

const EVERY_MS = 80;

const due = new Map<object, () => void>();
let timer = 0;
let lastAt = -Infinity;

/** Call soon, and only the latest call of each `of`. */
export function soon(of: object, call: () => void): void {
  due.set(of, call);
  timer ||= window.setTimeout(say, Math.max(0, lastAt + EVERY_MS - performance.now()));
}

function say(): void {
  timer = 0;
  lastAt = performance.now();
  const calls = [...due.values()];
  due.clear();
  calls.forEach((call) => call());
}

/** Which point of a chart is looked at; null: none. */
export class Cursor {
  at: number | null = null;
  private listeners = new Set<() => void>();

  set(at: number | null): void {
    if (this.at === at) return;
    this.at = at;
    soon(this, () => this.listeners.forEach((call) => call()));
  }

  onChange(call: () => void): () => void {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  }
}

export function useCursor(cursor: Cursor): number | null {
  const [at, setAt] = useState(cursor.at);
  useEffect(() => cursor.onChange(() => setAt(cursor.at)), [cursor]);
  return at;
}
