// The marks of the open tile as a list: select, change the class, delete.
import { useMemo } from "preact/hooks";

import { UNKNOWN } from "../canvas/style";
import { useSignals } from "../state/signal";
import type { Feature, MarkClass } from "../state/types";
import { nameOf, type Work } from "../state/work";
import { Swatch } from "./classes";
import { Icon } from "./icons";

export function MarkList({ work, mpp }: { work: Work; mpp: number | null }) {
  useSignals(work.session.changes, work.desk.changes);
  const { features } = work;
  return (
    <section class="panel" aria-labelledby="marks-title">
      <header>
        <h2 id="marks-title">Marks</h2>
        <small>{features.length}</small>
      </header>
      {features.length === 0 ? (
        <p class="soft">None yet. Pick a tool and draw.</p>
      ) : (
        <ul class="marks">
          {features.map((feature) => (
            <MarkItem key={feature.id} feature={feature} work={work} mpp={mpp} />
          ))}
        </ul>
      )}
    </section>
  );
}

interface ItemProps {
  feature: Feature;
  work: Work;
  mpp: number | null;
}

/** Drawn anew only where something about it has changed: there may be hundreds of them. */
function MarkItem({ feature, work, mpp }: ItemProps) {
  const { desk, session } = work;
  const selected = desk.selected.includes(feature.id);
  const { classes } = session;
  return useMemo(
    () => <Item feature={feature} classes={classes} selected={selected} mpp={mpp} work={work} />,
    [feature, classes, selected, mpp, work],
  );
}

interface DrawnProps extends ItemProps {
  classes: MarkClass[];
  selected: boolean;
}

function Item({ feature, classes, selected, mpp, work }: DrawnProps) {
  const { desk } = work;
  const label = nameOf(feature);
  const at = classes.findIndex(({ name }) => name === label);
  const own = feature.properties.classification?.color ?? UNKNOWN;
  const color = classes[at]?.color ?? own;
  return (
    <li class="mark" data-selected={selected}>
      <button
        class="quiet pick"
        aria-pressed={selected}
        aria-label={`Select ${label}, ${size(feature, mpp)}`}
        onClick={(event) =>
          event.shiftKey ? desk.toggle(feature.id) : desk.select(selected ? [] : [feature.id])
        }
      >
        <Swatch color={color} />
        <small>{size(feature, mpp)}</small>
      </button>
      <select
        aria-label="Class of this mark"
        value={label}
        onChange={(event) => {
          const picked = classes.find(({ name }) => name === event.currentTarget.value);
          if (picked) work.reclassify([feature], picked);
        }}
      >
        {at < 0 && <option value={label}>{label}</option>}
        {classes.map(({ name }) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <button
        class="quiet"
        aria-label={`Delete ${label}`}
        title="Delete"
        onClick={() => {
          desk.select([feature.id]);
          work.remove();
        }}
      >
        <Icon name="remove" />
      </button>
    </li>
  );
}

/** Area of a mark, in micrometers where the size of a pixel is known. */
function size({ geometry }: Feature, mpp: number | null): string {
  if (geometry.type === "Point") return "point";
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  const area = polygons.reduce(
    (sum, [outer, ...holes]) =>
      sum + ringArea(outer!) - holes.reduce((cut, hole) => cut + ringArea(hole), 0),
    0,
  );
  return mpp === null ? `${short(area)} px²` : `${short(area * mpp * mpp)} µm²`;
}

function ringArea(ring: readonly (readonly [number, number])[]): number {
  let twice = 0;
  for (let i = 1; i < ring.length; i += 1) {
    twice += ring[i - 1]![0] * ring[i]![1] - ring[i]![0] * ring[i - 1]![1];
  }
  return Math.abs(twice) / 2;
}

function short(value: number): string {
  return value >= 100 ? Math.round(value).toLocaleString("en-US") : value.toPrecision(3);
}
