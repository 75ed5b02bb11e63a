// A chart with its title, legend, and what can be done with it.
import { useEffect, useRef, useState } from "preact/hooks";

import { onThemeChange } from "../base/colors";
import { goodText, type ChartInfo } from "./catalog";
import type { Curve } from "./curves";
import { csvOf, pngOf, save } from "./export";
import { Legend } from "./legend";
import { Plot } from "./plot";
import { Cursor } from "./reading";
import type { ChartSettings } from "./settings";
import { useVisible } from "./visible";
import type { View } from "./view";

const HEIGHT = 210;
const WIDE_HEIGHT = 440;

export interface ChartProps {
  info: ChartInfo;
  curves: Curve[];
  settings: ChartSettings;
  view: View;
  sync: string;
  /** What files that are made of it are named after. */
  of: string;
  widen: (key: string) => void;
}

export function Chart({ info, curves, settings, view, sync, of, widen }: ChartProps) {
  const card = useRef<HTMLElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<Plot | null>(null);
  const [cursor] = useState(() => new Cursor());
  const [, setDrawn] = useState(0);
  const visible = useVisible(card);
  const wide = settings.wide === info.key;
  const { smoothing, log, clip } = settings;
  const what = curves.map((curve) => curve.id).join("\n");

  useEffect(() => {
    if (!visible || !box.current) return;
    const element = box.current;
    let due = 0;
    const made = new Plot(element, curves, view, {
      ...{ smoothing, log, clip, good: info.good, sync },
      height: wide ? WIDE_HEIGHT : HEIGHT,
      onCursor: (at) => cursor.set(at),
      onDraw: () => {
        // The benchmark and the tests look here for what is drawn.
        element.dataset.rows = String(rowsOf(curves));
      },
    });
    plot.current = made;
    setDrawn((times) => times + 1);
    const draw = () => {
      due ||= requestAnimationFrame(() => {
        due = 0;
        made.refresh();
        setDrawn((times) => times + 1);
      });
    };
    const resized = new ResizeObserver(() => made.resize(element.clientWidth));
    resized.observe(element);
    const stores = [...new Set(curves.map((curve) => curve.store))];
    const leave = [
      ...curves.map((curve) => curve.store.want(curve.phase, [curve.name])),
      ...stores.map((store) => store.onChange(draw)),
      view.onChange(() => made.follow()),
      onThemeChange(() => made.recolor()),
      () => resized.disconnect(),
      () => cancelAnimationFrame(due),
      () => made.destroy(),
    ];
    return () => {
      plot.current = null;
      leave.forEach((call) => call());
    };
  }, [visible, what, view, smoothing, log, clip, wide, sync]);

  const keys = (event: KeyboardEvent) => {
    if (plot.current && moved(plot.current, view, cursor.at, event)) event.preventDefault();
  };
  const name = `${of} ${info.label}`.replace(/[^\w.-]+/g, "_");
  const title = `${info.label}${info.unit ? `, ${info.unit}` : ""} · ${of}`;
  return (
    <section class={`chart${wide ? " wide" : ""}`} ref={card} aria-label={info.label} data-key={info.key}>
      <header>
        <h3 title={info.lines[0]?.name}>
          {info.label}
          {info.unit && <small> {info.unit}</small>}
        </h3>
        <span class="tools">
          <button class="quiet" onClick={() => plot.current && save(csvBlob(plot.current), `${name}.csv`)}>
            CSV
          </button>
          <button
            class="quiet"
            onClick={() => plot.current && void pngOf(plot.current, title).then((png) => save(png, `${name}.png`))}
          >
            PNG
          </button>
          <button class="quiet" aria-pressed={wide} onClick={() => widen(wide ? "" : info.key)}>
            {wide ? "Narrow" : "Wide"}
          </button>
        </span>
        <small class="good">{goodText(info.good, info.unit)}</small>
      </header>
      <div
        class="canvas"
        ref={box}
        tabIndex={0}
        role="img"
        aria-label={`${info.label}, ${curves.map((curve) => curve.label).join("; ")}. Arrow keys move along the steps, + and − zoom, 0 shows all.`}
        onKeyDown={keys}
        onBlur={() => cursor.set(null)}
      >
        {visible && plot.current?.table.points === 0 && <p class="hint">{hint(curves)}</p>}
      </div>
      <Legend plot={plot.current} curves={curves} cursor={cursor} />
    </section>
  );
}

/** Why there is nothing to see. */
function hint(curves: Curve[]): string {
  if (curves.length === 0) return "Training and validation are both switched off";
  const here = curves.some((curve) => curve.store.points(curve.phase)?.columns.has(curve.name));
  return here ? "No value yet" : "Loading…";
}

function rowsOf(curves: Curve[]): number {
  return Math.max(0, ...curves.map((curve) => curve.store.points(curve.phase)?.facts.rows ?? 0));
}

function csvBlob(plot: Plot): Blob {
  return new Blob([csvOf(plot)], { type: "text/csv" });
}

/** What a key does to a chart; false if nothing. */
function moved(plot: Plot, view: View, at: number | null, event: KeyboardEvent): boolean {
  const last = plot.uplot.data[0].length - 1;
  const stride = event.shiftKey ? 10 : 1;
  const now = at ?? (event.key === "ArrowLeft" ? last + 1 : -1);
  const to = {
    ArrowLeft: Math.max(0, now - stride),
    ArrowRight: Math.min(last, now + stride),
    Home: 0,
    End: last,
  }[event.key];
  if (to !== undefined) plot.moveTo(to);
  else if (event.key === "+" || event.key === "=") view.zoom(0.5, stepAt(plot, at));
  else if (event.key === "-") view.zoom(2, stepAt(plot, at));
  else if (event.key === "0" || event.key === "Escape") view.set(null);
  else return false;
  return true;
}

function stepAt(plot: Plot, at: number | null): number | undefined {
  return at === null ? undefined : plot.uplot.data[0][at];
}

