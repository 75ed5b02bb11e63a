// From where to where a chart goes.
import uPlot from "uplot";

import { PER_CURVE, PLAIN, SMOOTH } from "./drawn";
import { middle } from "./shaping";

const KEPT = 0.96;
const MARGIN = 0.06;
/** A limit of the good range is shown, unless the values would be left with less than this. */
const LEAST_SHARE = 0.4;

export type Limits = [number | null, number | null];

/** Ends of the value axis. */
export function valueRange(
  u: uPlot,
  least: number | null,
  largest: number | null,
  options: { log: boolean; clip: boolean; good: Limits | null },
): [number, number] {
  if (least === null || largest === null) return options.log ? [0.1, 1] : [0, 1];
  let [low, high] = (options.clip && clipped(u)) || [least, largest];
  if (options.log) {
    return low < high ? (uPlot.rangeLog(low, high, 10, false) as [number, number]) : [low / 2, low * 2];
  }
  for (const limit of options.good ?? []) {
    if (limit === null) continue;
    const [from, to] = [Math.min(low, limit), Math.max(high, limit)];
    if (high - low >= LEAST_SHARE * (to - from)) [low, high] = [from, to];
  }
  const span = high - low || Math.abs(high) || 1;
  return [low - MARGIN * span, high + MARGIN * span];
}

/** Between which values the middle of all shown points lies. */
function clipped(u: uPlot): [number, number] | null {
  const { min, max } = u.scales.x!;
  const x = u.data[0];
  const values: number[] = [];
  for (let series = 1; series < u.data.length; series++) {
    const part = (series - 1) % PER_CURVE;
    if (part !== PLAIN && part !== SMOOTH) continue;
    const column = u.data[series]!;
    for (let i = 0; i < x.length; i++) {
      if (min != null && max != null && (x[i]! < min || x[i]! > max)) continue;
      const value = column[i];
      if (value != null) values.push(value);
    }
  }
  return middle(values, KEPT);
}
