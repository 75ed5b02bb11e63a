// One chart on a canvas: uPlot, with good ranges behind, bands around, and one cursor for all.
import uPlot from "uplot";

import { bandTo } from "./band";
import type { Curve } from "./curves";
import { LOW, PER_CURVE, PLAIN, SMOOTH, place, tableOf, type Table } from "./drawn";
import { valueRange, type Limits } from "./scales";
import { faint, tick } from "./tokens";
import type { View } from "./view";

import "uplot/dist/uPlot.min.css";

const FEW = 80;
const SEARCH = 400;
/** While all charts move, lines of more points a pixel than this are thin, and quickly drawn. */
const DENSE = 1 / 3;
const RESTS_MS = 200;
const NO_POINT = undefined as unknown as HTMLElement;
const lines = uPlot.paths.linear!();

export interface PlotOptions {
  log: boolean;
  clip: boolean;
  smoothing: number;
  good: Limits | null;
  /** Charts of one key have one cursor. */
  sync: string;
  height: number;
  /** Told which point the cursor is at; null where there is none. */
  onCursor: (index: number | null) => void;
  onDraw: () => void;
}

export class Plot {
  table: Table;
  private u: uPlot;
  private emphasized: number | null = null;
  private moving = 0;

  constructor(
    private root: HTMLElement,
    readonly curves: Curve[],
    private view: View,
    private options: PlotOptions,
  ) {
    this.table = tableOf(curves, view, options);
    this.u = new uPlot(this.uplotOptions(), this.table.data, root);
    this.u.over.addEventListener("dblclick", this.showAll);
    this.u.over.addEventListener("wheel", this.wheel, { passive: false });
  }

  get uplot(): uPlot {
    return this.u;
  }

  destroy(): void {
    clearTimeout(this.moving);
    this.u.destroy();
  }

  /** Draw the points that are here now. */
  refresh(): void {
    this.table = tableOf(this.curves, this.view, this.options);
    this.u.setData(this.table.data);
  }

  /** Show the view that all charts show, with the points that are here. */
  follow(): void {
    clearTimeout(this.moving);
    this.moving = window.setTimeout(() => {
      this.moving = 0;
      this.u.redraw();
    }, RESTS_MS);
    const [min, max] = this.stepRange();
    this.u.setScale("x", { min, max });
  }

  resize(width: number): void {
    if (width > 0 && width !== this.u.width) this.u.setSize({ width, height: this.options.height });
  }

  recolor(): void {
    this.u.redraw(false, true);
  }

  /** Draw one curve stronger than the others; null: all alike. */
  emphasize(curve: number | null): void {
    if (this.emphasized === curve) return;
    this.emphasized = curve;
    this.u.redraw(false);
  }

  /** Move the cursor to a point by its number. */
  moveTo(index: number): void {
    const x = this.u.data[0][index];
    if (x === undefined) return;
    const left = this.u.valToPos(x, "x");
    this.u.setCursor({ left, top: this.u.over.clientHeight / 2 }, true);
  }

  /** The value of a curve at the cursor or next to it, with the place of its point. */
  at(curve: number, part: number, index: number): number | null {
    const found = this.nearest(place(curve, part), index);
    return found === null ? null : ((this.u.data[place(curve, part)]![found] as number) ?? null);
  }

  private nearest(series: number, index: number): number | null {
    const column = this.u.data[series];
    if (!column) return null;
    for (let away = 0; away <= SEARCH; away++) {
      if (column[index - away] !== undefined && index >= away) return index - away;
      if (column[index + away] !== undefined) return index + away;
    }
    return null;
  }

  private stepRange(): [number, number] {
    const { range } = this.view;
    if (range) return [range.from, range.to];
    const x = this.table.data[0];
    const [from, to] = [x[0] ?? 0, x[x.length - 1] ?? 1];
    return to > from ? [from, to] : [from - 1, to + 1];
  }

  private line: uPlot.Series.PathBuilder = (u, series, first, last) => {
    const made = lines(u, series, first, last);
    const dense = last - first > (DENSE * u.bbox.width) / devicePixelRatio;
    return made && this.moving && dense ? { ...made, _width: 1 } : made;
  };

  private showAll = () => this.view.set(null);

  private wheel = (event: WheelEvent) => {
    const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY);
    if (!event.ctrlKey && !event.shiftKey && !sideways) return; // the page scrolls
    event.preventDefault();
    if (event.ctrlKey) {
      const at = this.u.posToVal(event.offsetX, "x");
      this.view.zoom(event.deltaY > 0 ? 1.15 : 1 / 1.15, at);
    } else {
      this.view.pan((sideways ? event.deltaX : event.deltaY) / this.u.over.clientWidth);
    }
  };

  private uplotOptions(): uPlot.Options {
    const { options, curves } = this;
    const soft = () => faint("--soft");
    const line = () => faint("--line", 0.7);
    const axis = { stroke: soft, font: "11px system-ui, sans-serif", ticks: { show: false } };
    const grid = { stroke: line, width: 1 };
    const log = options.log ? { distr: 3 as const, log: 10 as const } : {};
    return {
      width: Math.max(this.root.clientWidth, 120),
      height: options.height,
      padding: [8, 18, 0, 0],
      legend: { show: false },
      scales: {
        x: { time: false, range: () => this.stepRange() },
        y: { ...log, range: (u, low, high) => valueRange(u, low, high, options) },
      },
      axes: [
        { ...axis, grid, values: (_, splits) => splits.map((at) => (at % 1 ? "" : tick(at))), size: 26 },
        { ...axis, grid, values: (_, splits) => splits.map((at) => (at === null ? "" : tick(at))), size: 54 },
      ],
      series: [{}, ...curves.flatMap((curve, i) => this.seriesOf(curve, i))],
      cursor: {
        drag: { x: true, y: false, setScale: false },
        sync: {
          key: options.sync,
          scales: ["x", null],
          filters: { pub: (type) => type === "mousemove" || type === "mouseleave" },
        },
        points: {
          // Each is a layer of its own to the browser, which puts all of them together again.
          show: (_, series) => (this.isMain(series) ? document.createElement("div") : NO_POINT),
          size: 7,
          width: 0,
          fill: (_, series) => faint(curves[Math.floor((series - 1) / PER_CURVE)]?.color ?? "--text"),
        },
        dataIdx: (_, series, index) => this.nearest(series, index) ?? index,
      },
      hooks: {
        setSelect: [this.zoomToSelection],
        setCursor: [(u) => options.onCursor(u.cursor.idx ?? null)],
        drawAxes: [(u) => this.drawGood(u)],
        draw: [() => options.onDraw()],
      },
    };
  }

  private seriesOf(curve: Curve, i: number): uPlot.Series[] {
    const { smoothing } = this.options;
    const edge: uPlot.Series = { points: { show: false }, width: 0, paths: () => null };
    const band: uPlot.Series = {
      ...edge,
      fill: () => faint(curve.color, this.alpha(i, 0.16)),
      paths: bandTo(place(i, LOW)),
    };
    const plain: uPlot.Series = {
      stroke: () => faint(curve.color, this.alpha(i, smoothing > 0 ? 0.3 : 1)),
      width: smoothing > 0 ? 1 : curve.width,
      paths: this.line,
      dash: curve.dash,
      points: {
        show: (u) => smoothing === 0 && this.isSparse(u, i),
        size: 5,
        stroke: () => faint(curve.color, this.alpha(i, 1)),
        fill: () => faint(curve.color, this.alpha(i, 1)),
      },
    };
    const smooth: uPlot.Series = {
      stroke: () => faint(curve.color, this.alpha(i, 1)),
      width: curve.width + 0.4,
      paths: this.line,
      dash: curve.dash,
      points: { show: (u) => smoothing > 0 && this.isSparse(u, i), size: 5 },
    };
    return [edge, band, plain, smooth];
  }

  private alpha(curve: number, strongest: number): number {
    const others = this.emphasized !== null && this.emphasized !== curve;
    return others ? strongest * 0.2 : strongest;
  }

  private isMain(series: number): boolean {
    if (series === 0) return false;
    return (series - 1) % PER_CURVE === (this.options.smoothing > 0 ? SMOOTH : PLAIN);
  }

  private isSparse(u: uPlot, curve: number): boolean {
    const x = this.table?.shapes[curve]?.x;
    if (!x) return false;
    const { min, max } = u.scales.x!;
    let shown = 0;
    for (const at of x) if (min == null || max == null || (at >= min && at <= max)) shown += 1;
    return shown <= FEW;
  }

  private zoomToSelection = (u: uPlot) => {
    const { left, width } = u.select;
    if (width < 4) return;
    this.view.set({ from: u.posToVal(left, "x"), to: u.posToVal(left + width, "x") });
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  };

  /** Shade the good range, and draw its limits. */
  private drawGood(u: uPlot): void {
    const { good } = this.options;
    const { min, max } = u.scales.y!;
    if (!good || min == null || max == null) return;
    const { left, top, width, height } = u.bbox;
    const y = (value: number) => u.valToPos(Math.min(Math.max(value, min), max), "y", true);
    const [low, high] = good;
    const above = high === null ? top : y(high);
    const below = low === null ? top + height : y(low);
    const { ctx } = u;
    ctx.save();
    ctx.fillStyle = faint("--good");
    ctx.fillRect(left, above, width, Math.max(0, below - above));
    ctx.strokeStyle = faint("--good-line");
    ctx.lineWidth = devicePixelRatio;
    ctx.setLineDash([4 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const limit of [low, high]) {
      if (limit === null || limit < min || limit > max) continue;
      ctx.beginPath();
      ctx.moveTo(left, y(limit));
      ctx.lineTo(left + width, y(limit));
      ctx.stroke();
    }
    ctx.restore();
  }
}
