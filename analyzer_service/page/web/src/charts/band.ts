// The band of a curve, from the least to the largest value: one polygon. uPlot's own bands cut one
// area out of another with clip paths, which take a browser without a GPU longer than all else.
import type uPlot from "uplot";

/** Draws between two series; `lower` is the number of the other one. */
export function bandTo(lower: number): uPlot.Series.PathBuilder {
  return (u, upper, first, last) => {
    const fill = new Path2D();
    const [x, y] = [pixels(u, "x"), pixels(u, "y")];
    const [steps, highs, lows] = [u.data[0], u.data[upper]!, u.data[lower]!];
    let part = new Part();
    for (let i = first; i <= last; i++) {
      const [high, low] = [highs[i], lows[i]];
      if (high === undefined || low === undefined) continue; // a point of another curve
      if (high === null || low === null) {
        part.close(fill);
        part = new Part();
      } else {
        part.add(x(steps[i]!), y(high), y(low));
      }
    }
    part.close(fill);
    return { stroke: null, fill, clip: null, flags: 0 };
  };
}

/** A piece without a gap, in pixels of the canvas; what falls on one column of them is one. */
class Part {
  private x: number[] = [];
  private top: number[] = [];
  private bottom: number[] = [];

  add(x: number, top: number, bottom: number): void {
    const last = this.x.length - 1;
    if (this.x[last] === x) {
      this.top[last] = Math.min(this.top[last]!, top);
      this.bottom[last] = Math.max(this.bottom[last]!, bottom);
    } else {
      this.x.push(x);
      this.top.push(top);
      this.bottom.push(bottom);
    }
  }

  close(path: Path2D): void {
    const { x, top, bottom } = this;
    if (x.length === 0) return;
    path.moveTo(x[0]!, top[0]!);
    for (let i = 1; i < x.length; i++) path.lineTo(x[i]!, top[i]!);
    for (let i = x.length - 1; i >= 0; i--) path.lineTo(x[i]!, bottom[i]!);
    path.closePath();
  }
}

/** As uPlot's `valToPos` on the canvas, rounded; that one looks the scale up for each value. */
function pixels(u: uPlot, key: "x" | "y"): (value: number) => number {
  const { min, max, distr } = u.scales[key]!;
  const of = distr === 3 ? Math.log10 : (value: number) => value;
  const { left, top, width, height } = u.bbox;
  const [from, to] = [of(min!), of(max!)];
  return key === "x"
    ? (value) => Math.round(left + ((of(value) - from) / (to - from)) * width)
    : (value) => Math.round(top + (1 - (of(value) - from) / (to - from)) * height);
}
