// The tile in the middle of the page, and what lies over it.
import { useEffect, useRef, useState } from "preact/hooks";

import type { Bench } from "../state/bench";
import { useSignals } from "../state/signal";
import type { Feature, Rgb } from "../state/types";
import { nameOf, type Work } from "../state/work";
import { Failed } from "../../base/frame";
import { Pen } from "./pen";
import { ScaleBar } from "./scale_bar";
import { UNKNOWN } from "./style";
import { TileMap, type Sight } from "./tile_map";
import { Tools } from "./tools";

import "ol/ol.css";

/** Room for a tile whose image is gone. */
const GONE_PX = 256;

export interface Easel {
  canvas: TileMap;
  tools: Tools;
}

export function Stage({ bench }: { bench: Bench }) {
  const { session, desk, work, attention, others, images } = bench;
  const element = useRef<HTMLDivElement>(null);
  const [easel, setEasel] = useState<Easel | null>(null);
  const [sight, setSight] = useState<Sight | null>(null);
  const [imageFailure, setImageFailure] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  useSignals(session.changes, desk.changes, attention.changes, others.changes);
  const { tile } = session;

  useEffect(() => {
    const canvas = new TileMap(element.current!, setSight);
    const tools = new Tools(canvas, {
      drawn: (geometry) => work.drawn(geometry),
      changed: (id, geometry) => work.changed(id, geometry),
      corner: (at, reach) => work.corner(at, reach),
      picked: (id, more) => work.picked(id, more),
    });
    new Pen(element.current!, canvas, tools, (words) => desk.say(words));
    bench.easel = { canvas, tools };
    setEasel(bench.easel);
    return () => {
      bench.easel = null;
      canvas.close();
    };
  }, [bench]);

  useEffect(() => {
    if (!easel || !tile) return;
    easel.tools.cancel();
    easel.canvas.setTile(tile.width ?? GONE_PX, tile.height ?? GONE_PX);
  }, [easel, tile?.tile]);

  useEffect(() => {
    if (!easel || !tile) return;
    let wanted = true;
    setImageFailure(null);
    images.get(tile.tile).then(
      (url) => wanted && easel.canvas.setImage(url),
      (error: unknown) => wanted && setImageFailure(error),
    );
    return () => {
      wanted = false;
    };
  }, [easel, tile?.tile, tries]);

  useEffect(() => {
    if (!easel) return;
    draw(easel, work);
    drawOthers(easel, work, others.visible);
  });

  const layer = attention.visible ? attention.map?.layer.name : null;
  useEffect(() => {
    easel?.canvas.showAttention(attention.image(), attention.opacity);
  }, [easel, tile?.tile, layer, attention.colors, attention.scale]);
  useEffect(() => easel?.canvas.setOpacity(attention.opacity), [easel, attention.opacity]);

  const record = session.marks?.record;
  return (
    <div class="stage">
      <div
        ref={element}
        class="canvas"
        tabIndex={0}
        role="application"
        aria-label="The tile. Press ? for all keys. With a tool, arrow keys move a cross, Enter sets a corner."
        data-tool={desk.tool}
        data-sight={sight ? `${sight.x} ${sight.y} ${sight.resolution}` : ""}
      />
      <div class="over left">
        {record?.attention_shown_at && (
          <p class="badge">Attention was shown on this tile</p>
        )}
        {record?.others_shown_at && <p class="badge">Others’ marks were shown on this tile</p>}
      </div>
      {sight && tile && <ScaleBar resolution={sight.resolution} mpp={tile.mpp} />}
      {imageFailure !== null && (
        <div class="over middle">
          <Failed error={imageFailure} retry={() => setTries(tries + 1)} />
        </div>
      )}
      {session.tileFailure !== null && (
        <div class="over middle">
          <Failed error={session.tileFailure} retry={() => void session.refresh()} />
        </div>
      )}
    </div>
  );
}

function draw({ canvas, tools }: Easel, work: Work): void {
  const { session, desk } = work;
  const colors = new Map(session.classes.map(({ name, color }) => [name, color]));
  const selected = new Set(desk.selected);
  const editing = desk.tool === "edit";
  canvas.showMarks(work.features, (feature) => ({
    color: colorOf(feature, colors),
    label: desk.labels ? nameOf(feature) : "",
    selected: selected.has(feature.id),
    edited: editing && selected.has(feature.id),
    foreign: false,
  }));
  tools.use(desk.tool, desk.drawsBy);
  tools.removing = desk.removing;
  tools.color(work.nextClass.color);
  tools.edit(editing ? work.selected.map(({ id }) => id) : []);
}

function drawOthers({ canvas }: Easel, work: Work, visible: boolean): void {
  const { session } = work;
  const colors = new Map(session.classes.map(({ name, color }) => [name, color]));
  const others = visible ? (session.others ?? []) : [];
  const reader = new Map<string, string>();
  const features = others.flatMap((other) =>
    other.features.map((feature) => {
      const id = `${other.reader}\n${feature.id}`;
      reader.set(id, other.reader);
      return { ...feature, id };
    }),
  );
  canvas.showOthers(features, (feature) => ({
    color: colorOf(feature, colors),
    label: `${reader.get(feature.id)}${work.desk.labels ? `: ${nameOf(feature)}` : ""}`,
    selected: false,
    edited: false,
    foreign: true,
  }));
}

/** As the class list has it now; as the mark was drawn, where its class is not on the list. */
function colorOf(feature: Feature, colors: ReadonlyMap<string, Rgb>): Rgb {
  return colors.get(nameOf(feature)) ?? feature.properties.classification?.color ?? UNKNOWN;
}
