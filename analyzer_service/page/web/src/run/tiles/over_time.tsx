// The same validation tiles side by side over the run: a row for each tile, a column for each step.
import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { apiUrl, getJson } from "../../base/api";
import { Empty, Failed, Loading } from "../../base/frame";
import type { Live } from "../../base/live";
import { useFollowed } from "../followed";
import type { Tables } from "./colors";
import { ColorBar } from "./color_bar";
import type { Linked } from "./gestures";
import { scaleOf, type Look } from "./look";
import { LookControls } from "./look_controls";
import { paintImage, paintMap } from "./paint";
import { Canvas, type Paint } from "./panel";
import { layerLabel, veil } from "./pictures";
import { Pointer } from "./pointer";
import type { LayerFacts, Place, Tile, TileStore } from "./store";
import { WHOLE, type View } from "./view";

interface Appearance {
  release: number;
  number: number;
  position: number;
  epoch: number;
  global_step: number;
}

interface Probe {
  id: string;
  places: Appearance[];
}

interface Column {
  epoch: number;
  global_step: number;
}

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

interface Answer {
  fields: (keyof Appearance)[];
  tiles: { id: string; places: number[][] }[];
}

async function loadProbes(run: string): Promise<Probe[]> {
  const { fields, tiles } = await getJson<Answer>(apiUrl(["runs", run, "probes"]));
  return tiles.map(({ id, places }) => ({
    id,
    places: places.map(
      (place) => Object.fromEntries(fields.map((field, i) => [field, place[i]])) as unknown as Appearance,
    ),
  }));
}

type RowProps = OverTimeProps & { probe: Probe; columns: Column[]; linked: Linked; layer: string | null };

function Row(props: RowProps) {
  const { probe, columns } = props;
  const at = useMemo(() => new Map(probe.places.map((place) => [place.global_step, place])), [probe]);
  return (
    <tr>
      <th scope="row">
        <code>{probe.id}</code>
      </th>
      {columns.map(({ global_step }) => {
        const found = at.get(global_step);
        return <td key={global_step}>{found ? <Cell {...props} appearance={found} /> : "–"}</td>;
      })}
    </tr>
  );
}

function Cell({ store, tables, look, linked, layer, appearance, open, probe }: RowProps & { appearance: Appearance }) {
  const room = useRef<HTMLDivElement>(null);
  const near = useNear(room);
  const { release, number, position, epoch, global_step } = appearance;
  const place = useMemo<Place>(
    () => ({ phase: "val", number, release, position }),
    [number, release, position],
  );
  const [tile, setTile] = useState<Tile | null>(null);
  const [failed, setFailed] = useState(false);
  useEffect(() => {
    if (!near) {
      setTile(null); // the store has it still, as far as there is room
      return;
    }
    let gone = false;
    store.tile(place, ["input"]).then(
      (found) => !gone && setTile(found),
      () => !gone && setFailed(true),
    );
    return () => void (gone = true);
  }, [near, place]);
  const facts = tile?.facts.layers.find(({ key }) => key === layer) ?? null;
  const paint = usePaint(tile, facts, look, tables);
  return (
    <div class="cell" ref={room}>
      {tile && near ? (
        <Canvas
          label={`${probe.id}, epoch ${epoch}: ${facts ? layerLabel(facts, null) : "input"}`}
          aspect={tile.images.input!.height / tile.images.input!.width}
          paint={paint}
          linked={linked}
          keys={false}
        >
          {facts?.remark && <span class="remark" title={facts.remark}>{short(facts)}</span>}
          <button
            class="open"
            aria-label={`Open epoch ${epoch}, step ${global_step}, of ${probe.id}`}
            title="Open large"
            onClick={() => open(place)}
          >
            ⤢
          </button>
        </Canvas>
      ) : (
        <div class="waiting">{failed ? "gone" : ""}</div>
      )}
    </div>
  );
}

function usePaint(tile: Tile | null, facts: LayerFacts | null, look: Look, tables: Tables): Paint {
  const { scale: scaleName, colors, opacity, smooth, gray } = look;
  return useMemo<Paint>(() => {
    const scale = tile && facts && scaleOf(tile, facts, scaleName);
    return (context, view) => {
      const input = tile?.images.input;
      if (!input) return;
      paintImage(context, gray && facts && opacity > 0 ? input.gray() : input.color, view);
      if (scale) paintMap(context, scale.map, { ...scale, table: tables[colors], smooth, opacity }, view);
      else if (facts) veil(context);
    };
  }, [tile, facts, scaleName, colors, opacity, smooth, gray, tables]);
}

/** A remark in a word. */
function short({ status }: LayerFacts): string {
  return { ok: "weak", flat: "constant", tiny: "no map", nonfinite: "no map" }[status];
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

function columnsOf(probes: Probe[]): Column[] {
  const found = new Map<number, Column>();
  for (const { places } of probes) {
    for (const { epoch, global_step } of places) found.set(global_step, { epoch, global_step });
  }
  return [...found.values()].sort((one, other) => one.global_step - other.global_step);
}

/** At most `most` of them, evenly spread, the first and the last with them. */
export function thinned<T>(all: T[], most: number): T[] {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, i) => all[Math.round((i * (all.length - 1)) / (most - 1))]!);
}

/** Whether an element is in view or close to it; then it stays so. */
function useNear(element: { current: HTMLElement | null }): boolean {
  const [near, setNear] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver(
      ([entry]) => setNear(entry!.isIntersecting),
      { rootMargin: "300px" },
    );
    observer.observe(element.current!);
    return () => observer.disconnect();
  }, []);
  return near;
}
