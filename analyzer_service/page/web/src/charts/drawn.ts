// The table that uPlot draws: for each curve its band, its plain line, and its smoothed one.
import type uPlot from "uplot";

import type { Curve } from "./curves";
import { aligned, byStep, smoothed, spread, type Shape } from "./shaping";
import type { View } from "./view";

/** Series of each curve in the table, after the steps: low, high, plain, and smoothed. */
export const PER_CURVE = 4;
export const LOW = 0;
export const HIGH = 1;
export const PLAIN = 2;
export const SMOOTH = 3;

export function place(curve: number, part: number): number {
  return 1 + curve * PER_CURVE + part;
}

export interface Table {
  data: uPlot.AlignedData;
  shapes: (Shape | null)[];
  /** Whether any point of a curve has a band. */
  banded: boolean;
  points: number;
}

/** The table of `curves`, and which point of it is which. */
export function tableOf(
  curves: Curve[],
  view: View,
  options: { smoothing: number; log: boolean },
): Table {
  const shapes = curves.map(shapeOf);
  const present = shapes.filter((shape) => shape !== null);
  const { x, places } = aligned(present.map((shape) => shape.x));
  const width = view.range ? view.range.to - view.range.from : (x.at(-1) ?? 1) - (x[0] ?? 0);
  const columns: unknown[] = [x];
  const none = new Array<undefined>(x.length).fill(undefined);
  let [banded, points] = [false, 0];
  for (const shape of shapes) {
    if (!shape) {
      columns.push(none, none, none, none);
      continue;
    }
    const at = places.get(shape.x)!;
    const cells = (values: Float64Array | null) =>
      values ? spread(values, at, x.length, options.log) : none;
    if (options.smoothing > 0) {
      shape.smooth = smoothed(shape.x, shape.mean, options.smoothing, Math.max(width, 1));
    }
    banded ||= shape.low !== null;
    points += shape.x.length;
    columns.push(cells(shape.low), cells(shape.high), cells(shape.mean), cells(shape.smooth));
  }
  return { data: columns as uPlot.AlignedData, shapes, banded, points };
}

function shapeOf(curve: Curve): Shape | null {
  const held = curve.store.points(curve.phase);
  const column = held?.columns.get(curve.name);
  return held && column && column.mean.length ? byStep(held.x, column) : null;
}
