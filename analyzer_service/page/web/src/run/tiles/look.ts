// How maps are shown: chosen once for all panels, and remembered.
import { useState } from "preact/hooks";

import { recall, remember } from "../../base/memory";
import { number } from "../../base/format";
import type { FloatMap } from "./arrays";
import type { ColorName } from "./colors";
import type { LayerFacts, Tile } from "./store";

export type ScaleName = "share" | "fixed" | "tile";

export interface Look {
  colors: ColorName;
  scale: ScaleName;
  /** 0 shows the tile alone, 1 the map alone. */
  opacity: number;
  smooth: boolean;
  /** Tissue below a map without its colors, so that those of the map are what they mean. */
  gray: boolean;
  nuclei: boolean;
  /** Smallest width of a panel in CSS pixels. */
  width: number;
}

const USUAL: Look = {
  colors: "viridis",
  scale: "share",
  opacity: 0.6,
  smooth: true,
  gray: true,
  nuclei: false,
  width: 200,
};

export function useLook(): [Look, (part: Partial<Look>) => void] {
  const [look, setLook] = useState<Look>({ ...USUAL, ...recall<Partial<Look>>("tiles:look", {}) });
  const change = (part: Partial<Look>) => {
    const next = { ...look, ...part };
    remember("tiles:look", next);
    setLook(next);
  };
  return [look, change];
}

export interface Scale {
  map: FloatMap;
  low: number;
  high: number;
  /** What stands at the color bar's two ends, and between them. */
  ticks: string[];
  value: (value: number) => string;
}

const MOST_SHARE = 4;
const SHARE_TICKS = ["0", "1×", "2×", "3×", "≥ 4×"];

/** A layer's map and the values that its colors go from and to; null where it has no colors. */
export function scaleOf(tile: Tile, layer: LayerFacts, name: ScaleName): Scale | null {
  const map = tile.maps.get(layer.key);
  const density = tile.maps.get(`density/${layer.key}`);
  if (layer.status !== "ok" || !map || !density) return null;
  if (name === "share") {
    const value = (share: number) => `${number(share, 3)}× even share`;
    return { map: density, low: 0, high: MOST_SHARE, ticks: SHARE_TICKS, value };
  }
  const value = (raw: number) => number(raw);
  if (name === "fixed" && layer.kind === "attention") {
    return { map, low: 0, high: 1, ticks: ["0", "0.5", "1"], value };
  }
  const [low, high] = rangeOf(layer, name);
  const from = low > (layer.min ?? low) ? `≤ ${number(low, 3)}` : number(low, 3);
  const to = high < (layer.max ?? high) ? `≥ ${number(high, 3)}` : number(high, 3);
  return { map, low, high, ticks: [from, number((low + high) / 2, 3), to], value };
}

/** Percentiles 1 and 99 of this tile; an activation, which has no upper limit, from 0 if fixed. */
function rangeOf(layer: LayerFacts, name: ScaleName): [number, number] {
  const [low, high] = [name === "fixed" ? 0 : layer.low!, layer.high!];
  return low < high ? [low, high] : [layer.min!, layer.max!];
}
