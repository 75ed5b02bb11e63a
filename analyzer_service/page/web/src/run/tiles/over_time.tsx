// The same validation tiles side by side over the run: a row for each tile, a column for each step.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { Empty, Failed, Loading } from "../../base/frame";
import type { Live } from "../../base/live";
import { useFollowed } from "../followed";
import type { Tables } from "./colors";
import { ColorBar } from "./color_bar";
import { Breakable } from "./facts";
import type { Linked } from "./gestures";
import type { Look } from "./look";
import { LookControls } from "./look_controls";
import { Pointer } from "./pointer";
import { ProbeCell } from "./probe_cell";
import { columnsOf, loadProbes, thinned, type Column, type Probe } from "./probes";
import type { LayerFacts, Place, TileStore } from "./store";
import { WHOLE, type View } from "./view";

export interface OverTimeProps {
  run: string;
  live: Live;
  store: TileStore;
  tables: Tables;
  look: Look;
  changeLook: (part: Partial<Look>) => void;
  /** Show a tile large, in the scrubber. */
  open: (place: Place) => void;
  switchMode: ComponentChildren;
}

const MOST_COLUMNS = [8, 16, 32, 64];
const ROWS = 12;

export function OverTime(props: OverTimeProps) {
  const { run, live, store, look, changeLook, switchMode, tables } = props;
  const changed = live.state && `${live.state.epochs} ${live.state.status}`;
  const { value, error, retry } = useFollowed<Probe[]>(changed, () => loadProbes(run));
  const [most, setMost] = useState(MOST_COLUMNS[0]!);
  const [rows, setRows] = useState(ROWS);
  const [layerKey, setLayer] = useState<string | null>(null);
  const [view, setView] = useState<View>(WHOLE);
  const pointer = useMemo(() => new Pointer(), []);
  const linked = { view, setView, pointer };
  const layers = useLayers(store, value);

  const columns = useMemo(() => thinned(columnsOf(value ?? []), most), [value, most]);
  if (error && !value) return <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="tiles over time" />;
  if (!value.length) return <NothingTwice switchMode={switchMode} />;
  const layer = layers.find(({ key }) => key === layerKey) ?? layers[0];
  return (
    <div class="tiles-tab">
      <LookControls look={look} change={changeLook} linked={linked} nuclei={false}>
        {switchMode}
        <label>
          Layer
          <select value={layer?.key} onChange={(event) => setLayer(event.currentTarget.value)}>
            {layers.map(({ key, name, kind }) => (
              <option key={key} value={key}>
                {name} ({kind})
              </option>
            ))}
          </select>
        </label>
        <label>
          Steps
          <select value={most} onChange={(event) => setMost(Number(event.currentTarget.value))}>
            {MOST_COLUMNS.map((count) => (
              <option key={count} value={count}>
                at most {count}
              </option>
            ))}
          </select>
        </label>
      </LookControls>
      <div class="probes-scroll" style={{ "--columns": columns.length }}>
        <table class="probes">
          <caption class="visually-hidden">
            {layer ? `${layer.kind} of ${layer.name}` : "Tiles"} for tiles that come again, over the run
          </caption>
          <thead>
            <tr>
              <th scope="col">Tile</th>
              {columns.map((column) => (
                <th scope="col" key={column.global_step}>
                  epoch {column.epoch}
                  <small> step {column.global_step.toLocaleString("en-US")}</small>
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {value.slice(0, rows).map((probe) => (
              <Row key={probe.id} {...props} probe={probe} columns={columns} linked={linked} layer={layer?.key ?? null} />
            ))}
          </tbody>
        </table>
      </div>
      {look.scale === "share" && (
        <div class="probes-bar">
          <span class="soft">Multiples of an even share</span>
          <ColorBar table={tables[look.colors]} ticks={["0", "1×", "2×", "3×", "≥ 4×"]} />
        </div>
      )}
      {rows < value.length && (
        <button onClick={() => setRows(rows + ROWS)}>
          Show more tiles ({value.length - rows} are left)
        </button>
      )}
    </div>
  );
}

type RowProps = OverTimeProps & { probe: Probe; columns: Column[]; linked: Linked; layer: string | null };

function Row(props: RowProps) {
  const { probe, columns } = props;
  const at = useMemo(() => new Map(probe.places.map((place) => [place.global_step, place])), [probe]);
  return (
    <tr>
      <th scope="row">
        <code>
          <Breakable name={probe.id} />
        </code>
      </th>
      {columns.map(({ global_step }) => {
        const found = at.get(global_step);
        return <td key={global_step}>{found ? <ProbeCell {...props} id={probe.id} appearance={found} /> : "–"}</td>;
      })}
    </tr>
  );
}

function NothingTwice({ switchMode }: { switchMode: ComponentChildren }) {
  return (
    <div class="tiles-tab">
      <section class="look">{switchMode}</section>
      <Empty title="No tile comes again yet.">
        <p>Tiles appear here once the same validation tile is kept at two steps: after the second validation.</p>
      </Empty>
    </div>
  );
}

/** Layers of the first tile: those of a run are the same at all of its steps. */
function useLayers(store: TileStore, probes: Probe[] | null): LayerFacts[] {
  const [layers, setLayers] = useState<LayerFacts[]>([]);
  const first = probes?.[0]?.places.at(-1);
  useEffect(() => {
    if (!first) return;
    const { number, release, position } = first;
    store
      .tile({ phase: "val", number, release, position }, ["input"])
      .then((tile) => setLayers(tile.facts.layers), () => undefined);
  }, [first?.release]);
  return layers;
}
