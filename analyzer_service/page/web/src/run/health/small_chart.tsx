// One small chart of a few curves over time.
import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";

import { color, onThemeChange } from "../../base/colors";

import "uplot/dist/uPlot.min.css";

export interface Curve {
  name: string;
  /** A color of the style sheet, such as "--train". */
  color: string;
  values: (number | null)[];
}

interface Props {
  title: string;
  at: number[];
  curves: Curve[];
  words: (value: number | null) => string;
  /** Whether the axis goes by powers of two: bytes are read so. */
  binary?: boolean;
}

const POWERS_OF_TWO = Array.from({ length: 50 }, (_, power) => 2 ** power);

const HEIGHT = 132;

export function SmallChart(props: Props) {
  const { title, at, curves, words } = props;
  const [place, setPlace] = useState<number | null>(null);
  const box = useChart(props, setPlace);
  const shown = place === null || place >= at.length ? at.length - 1 : place;
  return (
    <figure class="small-chart">
      <figcaption>
        <strong>{title}</strong>
        <small>{place === null ? "" : clock(at[shown]!)}</small>
      </figcaption>
      <div ref={box} class="plot" role="img" aria-label={described(title, curves, words)} />
      <p class="legend">
        {curves.map(({ name, color, values }) => (
          <span key={name}>
            <i style={{ background: `var(${color})` }} />
            {name} <b>{words(values[shown] ?? null)}</b>
          </span>
        ))}
      </p>
    </figure>
  );
}

/** The chart, made anew with other colors or another size, given new values as they come. */
function useChart(props: Props, point: (place: number | null) => void) {
  const box = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const { at, curves } = props;
  const data = [at, ...curves.map((curve) => curve.values)] as uPlot.AlignedData;
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const element = box.current!;
    const make = () => {
      chart.current?.destroy();
      const options = optionsFor(props, element.clientWidth, point);
      chart.current = new uPlot(options, latest.current, element);
    };
    make();
    const unwatch = onThemeChange(make);
    const sized = new ResizeObserver(() =>
      chart.current?.setSize({ width: element.clientWidth, height: HEIGHT }),
    );
    sized.observe(element);
    return () => {
      unwatch();
      sized.disconnect();
      chart.current?.destroy();
      chart.current = null;
    };
  }, []);
  useEffect(() => chart.current?.setData(data), [at]);
  return box;
}

function optionsFor(
  { curves, words, binary }: Props,
  width: number,
  point: (place: number | null) => void,
): uPlot.Options {
  const soft = color("--soft");
  const axis = {
    stroke: soft,
    font: "11px system-ui, sans-serif",
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width,
    height: HEIGHT,
    padding: [8, 18, 0, 0], // half a time of day wide, on the right
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: { y: { range: (_, __, largest) => [0, largest > 0 ? largest * 1.1 : 1] } },
    axes: [
      { ...axis, space: 54, size: 24, values: (_, ticks, __, ___, apart) => ticks.map(clockFor(apart)) },
      {
        ...axis,
        space: 28,
        size: 62,
        values: (_, ticks) => ticks.map((tick) => words(tick)),
        ...(binary ? { incrs: POWERS_OF_TWO } : {}),
      },
    ],
    series: [
      {},
      ...curves.map((curve) => ({
        stroke: color(curve.color),
        width: 1.5,
        points: { show: false },
        ...(curves.length === 1 ? { fill: `${color(curve.color)}22` } : {}),
      })),
    ],
    hooks: { setCursor: [(plot) => point(plot.cursor.idx ?? null)] },
  };
}

function described(title: string, curves: Curve[], words: Props["words"]): string {
  const said = curves.map(({ name, values }) => {
    const known = values.filter((value) => value !== null);
    if (known.length === 0) return `${name}: nothing noted`;
    const largest = known.reduce((a, b) => Math.max(a, b));
    return `${name}: last ${words(known.at(-1)!)}, at most ${words(largest)}`;
  });
  return `${title} over time. ${said.join(". ")}`;
}

/** Words for ticks that are so many seconds apart. */
function clockFor(apart: number): (at: number) => string {
  const form: Intl.DateTimeFormatOptions =
    apart >= 86_400
      ? { month: "short", day: "numeric" }
      : { hour: "2-digit", minute: "2-digit", ...(apart < 60 ? { second: "2-digit" } : {}), hour12: false };
  return (at) => new Date(at * 1000).toLocaleString(undefined, form);
}

function clock(at: number): string {
  return new Date(at * 1000).toLocaleTimeString();
}
