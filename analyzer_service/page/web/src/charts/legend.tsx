// What each curve is, and its value under the cursor; without a cursor its last one.
import { grouped, number } from "../base/format";
import type { Curve } from "./curves";
import { HIGH, LOW, PLAIN, SMOOTH } from "./drawn";
import type { Plot } from "./plot";
import { useCursor, type Cursor } from "./reading";

export function Legend({ plot, curves, cursor }: { plot: Plot | null; curves: Curve[]; cursor: Cursor }) {
  const at = useCursor(cursor);
  const x = plot?.uplot.data[0];
  const index = at ?? (x ? x.length - 1 : 0);
  const step = x?.[index];
  return (
    <div class="legend" aria-live={at === null ? "off" : "polite"}>
      <span class="step">{step === undefined ? "" : `step ${grouped(Math.round(step))}`}</span>
      <ul>
        {curves.map((curve, i) => (
          <li
            key={curve.id}
            onMouseEnter={() => plot?.emphasize(i)}
            onMouseLeave={() => plot?.emphasize(null)}
          >
            <Key curve={curve} />
            <span class="name" title={curve.label}>
              {curve.label}
            </span>
            {plot && <Value plot={plot} curve={i} index={index} />}
          </li>
        ))}
      </ul>
    </div>
  );
}

/** A piece of the curve's line. */
export function Key({ curve }: { curve: Pick<Curve, "color" | "dash"> }) {
  return (
    <svg class="key" width="26" height="8" aria-hidden="true">
      <line
        x1="0" x2="26" y1="4" y2="4" stroke={`var(${curve.color})`} stroke-width="2.4"
        stroke-dasharray={curve.dash.join(" ") || undefined}
      />
    </svg>
  );
}

function Value({ plot, curve, index }: { plot: Plot; curve: number; index: number }) {
  const plain = plot.at(curve, PLAIN, index);
  const smooth = plot.at(curve, SMOOTH, index);
  const [low, high] = [plot.at(curve, LOW, index), plot.at(curve, HIGH, index)];
  return (
    <>
      <strong>{number(smooth ?? plain)}</strong>
      {smooth === null && low !== null && high !== null && low < high && (
        <small>
          {number(low, 3)} to {number(high, 3)}
        </small>
      )}
    </>
  );
}
