// The numbers of a run that its charts show: one request for all visible ones of a phase, and of
// a run that goes on only the end.
import { apiUrl, getArrays } from "../base/api";
import { PHASES, type Phase } from "./catalog";
import { joined, settled, taken, widened, type Facts, type Held } from "./held";
import type { View } from "./view";

const POINTS = 600;
const LIVE_EVERY_MS = 100;
const VIEW_SETTLES_MS = 120;
const RETRY_MS = 2000;

interface PhaseState {
  wanted: Map<string, number>;
  held: Held | null;
  /** What was shown when `held` was asked for. */
  of: string;
  rows: number;
  busy: { abort: AbortController; of: string } | null;
  timer: number;
  dueAt: number;
  askedAt: number;
}

export class SeriesStore {
  error: unknown = null;
  private phases = {} as Record<Phase, PhaseState>;
  private listeners = new Set<() => void>();
  private leave: () => void;
  private closed = false;

  constructor(
    readonly run: string,
    private view: View,
  ) {
    for (const phase of PHASES) {
      const none = { held: null, of: "", rows: 0, busy: null, timer: 0, dueAt: 0, askedAt: 0 };
      this.phases[phase] = { wanted: new Map<string, number>(), ...none };
    }
    this.leave = view.onChange(() => PHASES.forEach((phase) => this.soon(phase, VIEW_SETTLES_MS)));
  }

  close(): void {
    this.closed = true;
    this.leave();
    for (const state of Object.values(this.phases)) {
      clearTimeout(state.timer);
      state.busy?.abort.abort();
    }
  }

  /** Points of a phase as far as they are here. */
  points(phase: Phase): Held | null {
    return this.phases[phase].held;
  }

  onChange(call: () => void): () => void {
    this.listeners.add(call);
    return () => this.listeners.delete(call);
  }

  /** A chart wants these metrics as long as it does not call what this returns. */
  want(phase: Phase, names: string[]): () => void {
    const { wanted } = this.phases[phase];
    for (const name of names) wanted.set(name, (wanted.get(name) ?? 0) + 1);
    this.soon(phase, 0);
    return () => {
      for (const name of names) {
        const left = (wanted.get(name) ?? 1) - 1;
        if (left > 0) wanted.set(name, left);
        else wanted.delete(name);
      }
    };
  }

  /** How many rows the run has now. */
  tell(rows: Record<Phase, number>): void {
    for (const phase of PHASES) {
      const state = this.phases[phase];
      if (state.rows === rows[phase]) continue;
      state.rows = rows[phase];
      this.soon(phase, this.pause(phase));
    }
  }

  retry(): void {
    for (const phase of PHASES) this.soon(phase, 0);
  }

  private soon(phase: Phase, delay: number): void {
    const state = this.phases[phase];
    const dueAt = performance.now() + delay;
    if (this.closed || (state.timer && state.dueAt <= dueAt)) return;
    clearTimeout(state.timer);
    state.dueAt = dueAt;
    state.timer = window.setTimeout(() => {
      state.timer = 0;
      void this.ask(phase);
    }, delay);
  }

  /** Ask for what is due: another view, more metrics, or more rows. */
  private async ask(phase: Phase): Promise<void> {
    const state = this.phases[phase];
    const { held, wanted } = state;
    const of = this.viewKey();
    if (this.closed || wanted.size === 0) return;
    if (state.busy) {
      if (state.busy.of !== of) state.busy.abort.abort();
      return; // what it ends with asks again
    }
    const names = [...wanted.keys()];
    const missing = held ? names.filter((name) => !held.columns.has(name)) : names;
    const anew = !held || state.of !== of || held.x.length > 2 * POINTS;
    // Fewer rows than before: the run was resumed from an earlier step. The end will tell.
    const fewer = held !== null && state.rows < held.facts.rows;
    if (!anew && missing.length === 0 && !fewer && !this.behind(phase)) return;
    const abort = new AbortController();
    state.busy = { abort, of };
    state.askedAt = performance.now();
    try {
      if (anew) state.held = await this.load(phase, names, {}, abort.signal);
      else if (missing.length) state.held = await this.more(phase, missing, held);
      else state.held = await this.end(phase, names, held);
      state.of = of;
      this.error = null;
    } catch (error) {
      if (!abort.signal.aborted) {
        this.error = error;
        this.soon(phase, RETRY_MS);
      }
    }
    state.busy = null;
    if (this.closed) return;
    for (const call of [...this.listeners]) call();
    if (this.error !== null) return;
    if (this.unsettled(phase)) this.soon(phase, 0);
    else if (this.behind(phase)) this.soon(phase, this.pause(phase));
  }

  /** Whether metrics or another view are wanted, which do not wait. */
  private unsettled(phase: Phase): boolean {
    const { held, wanted, of } = this.phases[phase];
    return !held || of !== this.viewKey() || [...wanted.keys()].some((name) => !held.columns.has(name));
  }

  /** Whether rows came that are within what is shown. */
  private behind(phase: Phase): boolean {
    const { held, rows } = this.phases[phase];
    if (!held || rows <= held.facts.rows) return false;
    const { range } = this.view;
    return !range || (held.x.at(-1) ?? 0) <= range.to;
  }

  private pause(phase: Phase): number {
    return Math.max(0, this.phases[phase].askedAt + LIVE_EVERY_MS - performance.now());
  }

  private async end(phase: Phase, names: string[], held: Held): Promise<Held> {
    const after = held.facts.first_bucket + settled(held) - 1;
    const tail = await this.load(phase, names, { level: held.facts.level, after });
    const restarted = tail.facts.starts !== held.facts.starts || tail.facts.rows < held.facts.rows;
    return restarted ? this.load(phase, names, {}) : joined(held, tail);
  }

  private async more(phase: Phase, names: string[], held: Held): Promise<Held> {
    const { level, first_bucket, starts } = held.facts;
    const found = await this.load(phase, names, { level, after: first_bucket - 1 });
    if (found.facts.starts === starts) return widened(held, found);
    return this.load(phase, [...held.columns.keys(), ...names], {});
  }

  private async load(
    phase: Phase,
    names: string[],
    part: { level?: number; after?: number },
    signal?: AbortSignal,
  ): Promise<Held> {
    const { range } = this.view;
    const span = range ? { from: range.from, to: range.to } : {};
    const query = { phase, points: POINTS, ...span, ...part, name: names };
    const found = await getArrays<Facts>(apiUrl(["runs", this.run, "series"], query), signal);
    if (found.facts.steps) this.view.extend(found.facts.steps);
    return taken(found, names);
  }

  private viewKey(): string {
    const { range } = this.view;
    return range ? `${range.from} ${range.to}` : "all";
  }
}
