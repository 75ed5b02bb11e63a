// One tile at one step, small: loaded as it comes into view, zoomed with all others.
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import type { Tables } from "./colors";
import type { Linked } from "./gestures";
import { scaleOf, type Look } from "./look";
import { paintImage, paintMap } from "./paint";
import { Canvas, type Paint } from "./panel";
import { layerLabel, veil } from "./pictures";
import type { Appearance } from "./probes";
import type { LayerFacts, Place, Tile, TileStore } from "./store";

export interface ProbeCellProps {
  store: TileStore;
  tables: Tables;
  look: Look;
  linked: Linked;
  /** Key of the layer whose map is shown. */
  layer: string | null;
  /** The tile's. */
  id: string;
  appearance: Appearance;
  open: (place: Place) => void;
}

export function ProbeCell(props: ProbeCellProps) {
  const { store, tables, look, linked, layer, appearance, open, id } = props;
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
          label={`${id}, epoch ${epoch}: ${facts ? layerLabel(facts, null) : "input"}`}
          aspect={tile.images.input!.height / tile.images.input!.width}
          paint={paint}
          linked={linked}
          keys={false}
        >
          {facts?.remark && <span class="remark" title={facts.remark}>{short(facts)}</span>}
          <button
            class="open"
            aria-label={`Open epoch ${epoch}, step ${global_step}, of ${id}`}
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
