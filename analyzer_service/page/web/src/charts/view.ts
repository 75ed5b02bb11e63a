// The part of the steps that all charts show: one for all, so that zooming one zooms them all.

export interface Range {
  from: number;
  to: number;
}

export class View {
  private listeners = new Set<() => void>();
  private pending = 0;

  /** The steps that the runs have, as far as is known. */
  whole: Range = { from: 0, to: 1 };
  private known = false;

  constructor(private shown: Range | null) {}

  /** A run has these steps. */
  extend([from, to]: [number, number]): void {
    const { whole } = this;
    this.whole = this.known
      ? { from: Math.min(whole.from, from), to: Math.max(whole.to, to) }
      : { from, to };
    this.known = true;
  }

  /** What is shown; null is all there is, and what comes. */
  get range(): Range | null {
    return this.shown;
  }

  set(range: Range | null): void {
    if (range && !(range.to > range.from)) return;
    this.shown = range;
    // Once a frame: a wheel turns faster than charts can be drawn.
    if (this.pending) return;
    this.pending = requestAnimationFrame(() => {
      this.pending = 0;
      for (const call of [...this.listeners]) call();
    });
  }

  /** Zoom by `factor` (below 1: closer) around `at`, else around the middle. */
  zoom(factor: number, at?: number): void {
    const { whole } = this;
    const { from, to } = this.shown ?? whole;
    const center = at ?? (from + to) / 2;
    const next = { from: center - (center - from) * factor, to: center + (to - center) * factor };
    if (next.to - next.from < 2) return;
    this.set(next.from <= whole.from && next.to >= whole.to ? null : within(next, whole));
  }

  /** Move by `share` of what is shown. */
  pan(share: number): void {
    const { whole } = this;
    if (!this.shown) return;
    const by = (this.shown.to - this.shown.from) * share;
    this.set(within({ from: this.shown.from + by, to: this.shown.to + by }, whole));
  }

  onChange(call: () => void): () => void {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  }
}

function within({ from, to }: Range, whole: Range): Range {
  const width = Math.min(to - from, whole.to - whole.from);
  const start = Math.min(Math.max(from, whole.from), whole.to - width);
  return { from: start, to: start + width };
}
