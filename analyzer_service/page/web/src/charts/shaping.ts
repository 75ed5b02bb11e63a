// From points as they come to points as they are drawn: rows of one step made one, smoothed,
// aligned over curves. Pure functions of arrays.
import type { Column } from "./held";

/** What one curve shows; NaN is a gap. */
export interface Shape {
  x: Float64Array;
  mean: Float64Array;
  low: Float64Array | null;
  high: Float64Array | null;
  smooth: Float64Array | null;
}

/**
 * Points in the order of their steps, those of one step as one: validation has many rows at a
 * step, and so have several ranks. Their mean is drawn, and a band from the lowest to the highest.
 */
export function byStep(x: Float64Array, column: Column): Shape {
  const length = Math.min(x.length, column.mean.length);
  let distinct = true;
  for (let i = 1; i < length && distinct; i++) distinct = x[i]! > x[i - 1]!;
  if (distinct) {
    const steps = length === x.length ? x : x.subarray(0, length);
    return { x: steps, mean: column.mean, low: column.low, high: column.high, smooth: null };
  }
  const order = Array.from({ length }, (_, i) => i).sort((a, b) => x[a]! - x[b]! || a - b);
  const steps: number[] = [];
  const means: number[] = [];
  const lows: number[] = [];
  const highs: number[] = [];
  for (let at = 0; at < length; ) {
    const step = x[order[at]!]!;
    let [sum, count, low, high] = [0, 0, Infinity, -Infinity];
    for (; at < length && x[order[at]!] === step; at++) {
      const i = order[at]!;
      const value = column.mean[i]!;
      if (!Number.isFinite(value)) continue;
      sum += value;
      count += 1;
      low = Math.min(low, column.low?.[i] ?? value);
      high = Math.max(high, column.high?.[i] ?? value);
    }
    steps.push(step);
    means.push(count ? sum / count : NaN);
    lows.push(count ? low : NaN);
    highs.push(count ? high : NaN);
  }
  return {
    x: sameSteps(x, steps),
    mean: Float64Array.from(means),
    low: Float64Array.from(lows),
    high: Float64Array.from(highs),
    smooth: null,
  };
}

const STEPS = new WeakMap<Float64Array, Float64Array>();

/** The distinct steps of `x`, as one array for all metrics, which are then aligned at once. */
function sameSteps(x: Float64Array, steps: number[]): Float64Array {
  const known = STEPS.get(x);
  if (known?.length === steps.length) return known;
  const made = Float64Array.from(steps);
  STEPS.set(x, made);
  return made;
}

/**
 * Exponential moving average whose memory is measured along the axis, not in points: `weight` is
 * what is left of a value a thousandth of `width` further on. Starts without a bias to 0.
 */
export function smoothed(x: Float64Array, y: Float64Array, weight: number, width: number): Float64Array {
  const out = new Float64Array(y.length);
  let [sum, mass, at] = [0, 0, NaN];
  for (let i = 0; i < y.length; i++) {
    const value = y[i]!;
    if (!Number.isFinite(value)) {
      out[i] = NaN;
      continue;
    }
    const left = Number.isNaN(at) ? 0 : weight ** (((x[i]! - at) / width) * 1000);
    sum = sum * left + value;
    mass = mass * left + 1;
    at = x[i]!;
    out[i] = sum / mass;
  }
  return out;
}

type Cell = number | null | undefined;

/** All steps of several curves in order, and where each curve's points are among them. */
export function aligned(xs: Float64Array[]): { x: number[]; places: Map<Float64Array, Int32Array> } {
  const distinct = [...new Set(xs)];
  let x: number[];
  if (distinct.length === 1) {
    x = Array.from(distinct[0]!);
  } else {
    const all = new Float64Array(distinct.reduce((sum, each) => sum + each.length, 0));
    let at = 0;
    for (const each of distinct) {
      all.set(each, at);
      at += each.length;
    }
    all.sort();
    x = [];
    for (const value of all) if (value !== x[x.length - 1]) x.push(value);
  }
  const places = new Map<Float64Array, Int32Array>();
  for (const each of distinct) {
    const place = new Int32Array(each.length);
    for (let i = 0, k = 0; i < each.length; i++) {
      while (x[k]! < each[i]!) k++;
      place[i] = k;
    }
    places.set(each, place);
  }
  return { x, places };
}

/** Values at the places of all steps: undefined where the curve has no point, null for a gap. */
export function spread(values: Float64Array, place: Int32Array, length: number, log: boolean): Cell[] {
  const cells: Cell[] = new Array<Cell>(length).fill(undefined);
  for (let i = 0; i < place.length; i++) {
    const value = values[i]!;
    cells[place[i]!] = Number.isFinite(value) && (!log || value > 0) ? value : null;
  }
  return cells;
}

/** The values between which the middle `share` of all finite ones lies; null without any. */
export function middle(values: number[], share: number): [number, number] | null {
  if (values.length === 0) return null;
  const sorted = Float64Array.from(values).sort();
  const cut = ((1 - share) / 2) * (sorted.length - 1);
  return [sorted[Math.floor(cut)]!, sorted[Math.ceil(sorted.length - 1 - cut)]!];
}
