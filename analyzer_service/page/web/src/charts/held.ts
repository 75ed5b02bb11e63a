// Points of one phase as the server sent them: buckets of one level, a column for each metric.
import type { Arrays } from "../base/api";

import type { Phase } from "./catalog";

export interface Facts {
  phase: Phase;
  rows: number;
  /** Grows when a run is resumed: rows that were there may be others now. */
  starts: number;
  /** The first and the last step; null before the first row. */
  steps: [number, number] | null;
  level: number;
  first_bucket: number;
  exact: boolean;
}

/** A metric: means, and the least and largest value of a row where a point stands for several. */
export interface Column {
  mean: Float64Array;
  low: Float64Array | null;
  high: Float64Array | null;
}

export interface Held {
  facts: Facts;
  x: Float64Array;
  columns: Map<string, Column>;
}

const NONE = new Float64Array(0);

export function taken({ facts, arrays }: Arrays<Facts>, names: string[]): Held {
  const of = (name: string) => (arrays.get(name)?.data as Float64Array | undefined) ?? null;
  const columns = new Map<string, Column>();
  for (const name of names) {
    columns.set(name, { mean: of(name) ?? NONE, low: of(`${name}:low`), high: of(`${name}:high`) });
  }
  return { facts, x: of("x") ?? NONE, columns };
}

/** How many of the points of `held` no further row will change. */
export function settled(held: Held): number {
  const complete = Math.floor(held.facts.rows / 2 ** held.facts.level) - held.facts.first_bucket;
  return Math.max(0, Math.min(held.x.length, complete));
}

/** `held` with the points of `tail` in place of its last ones; only metrics that both have. */
export function joined(held: Held, tail: Held): Held {
  const keep = tail.facts.first_bucket - held.facts.first_bucket;
  const columns = new Map<string, Column>();
  for (const [name, more] of tail.columns) {
    const had = held.columns.get(name);
    if (!had) continue;
    columns.set(name, {
      mean: spliced(had.mean, keep, more.mean),
      low: had.low && more.low && spliced(had.low, keep, more.low),
      high: had.high && more.high && spliced(had.high, keep, more.high),
    });
  }
  const facts = { ...tail.facts, first_bucket: held.facts.first_bucket };
  return { facts, x: spliced(held.x, keep, tail.x), columns };
}

/** `held` with the columns of `more`, which has the same buckets, as far as both go. */
export function widened(held: Held, more: Held): Held {
  const length = Math.min(held.x.length, more.x.length);
  const columns = new Map<string, Column>();
  for (const [name, column] of [...held.columns, ...more.columns]) {
    columns.set(name, {
      mean: column.mean.subarray(0, length),
      low: column.low && column.low.subarray(0, length),
      high: column.high && column.high.subarray(0, length),
    });
  }
  const facts = { ...held.facts, rows: Math.min(held.facts.rows, more.facts.rows) };
  return { facts, x: held.x.subarray(0, length), columns };
}

function spliced(had: Float64Array, keep: number, more: Float64Array): Float64Array {
  const all = new Float64Array(keep + more.length);
  all.set(had.subarray(0, keep));
  all.set(more, keep);
  return all;
}
