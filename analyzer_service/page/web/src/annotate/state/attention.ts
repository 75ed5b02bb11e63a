// Attention over the open tile: hidden first, shown when the reader asks, which is recorded.
import { recall, remember } from "../../base/memory";
import { extent, painted, type Scale } from "../canvas/coloring";
import type { Session } from "./session";
import { Signal } from "./signal";
import type { Layer } from "./types";

export interface AttentionMap {
  layer: Layer;
  values: Float32Array;
  rows: number;
  columns: number;
}

export class Attention {
  readonly changes = new Signal();
  visible = false;
  opacity: number = recall("annotate:opacity", 0.5);
  colors: string = recall("annotate:colors", "viridis");
  scale: Scale = recall<Scale>("annotate:scale", "tile");
  maps: AttentionMap[] = [];
  /** Why there is none, in words. */
  failure: string | null = null;
  private layer: string | null = recall<string | null>("annotate:layer", null);
  private of: string | null = null;

  constructor(private readonly session: Session) {}

  /** Another tile is open: what was seen on the last one says nothing about this one. */
  reset(): void {
    this.visible = false;
    this.maps = [];
    this.of = null;
    this.failure = null;
    this.changes.emit();
  }

  get seen(): boolean {
    return this.session.marks?.record.attention_shown_at != null;
  }

  get map(): AttentionMap | null {
    return (
      this.maps.find(({ layer }) => layer.name === this.layer) ??
      this.maps.find(({ layer }) => layer.primary) ??
      this.maps[0] ??
      null
    );
  }

  /** Range of values that the colors stand for. */
  get range(): [number, number] {
    return this.map ? extent(this.map.values, this.scale) : [0, 1];
  }

  async show(): Promise<void> {
    const { tile } = this.session;
    if (!tile) return;
    if (this.of !== tile.tile) {
      try {
        const { facts, arrays } = await this.session.server.maps(tile.tile);
        if (this.session.tile !== tile) return;
        this.maps = facts.layers.flatMap((layer) => {
          const found = arrays.get(layer.name);
          if (!found) return [];
          const [rows, columns] = found.shape as [number, number];
          return [{ layer, values: found.data as Float32Array, rows, columns }];
        });
        this.of = tile.tile;
        this.failure = this.maps.length ? null : "No attention was kept for this tile.";
      } catch (error) {
        this.failure = error instanceof Error ? error.message : String(error);
      }
    }
    const { map } = this;
    if (map) {
      this.record(map.layer.name);
      this.visible = true;
    }
    this.changes.emit();
  }

  hide(): void {
    this.visible = false;
    this.changes.emit();
  }

  choose(part: { layer?: string; opacity?: number; colors?: string; scale?: Scale }): void {
    if (part.layer !== undefined) {
      this.layer = part.layer;
      remember("annotate:layer", part.layer);
      if (this.visible) this.record(part.layer);
    }
    for (const key of ["opacity", "colors", "scale"] as const) {
      if (part[key] === undefined) continue;
      Object.assign(this, { [key]: part[key] });
      remember(`annotate:${key}`, part[key]);
    }
    this.changes.emit();
  }

  /** The map as an image. */
  image(): string | null {
    const { map } = this;
    if (!this.visible || !map) return null;
    return painted(map, this.colors, this.range);
  }

  /** Say that a layer was seen, before it is; what has been seen once stays so. */
  private record(layer: string): void {
    const { tile } = this.session;
    if (!tile || this.recorded.has(`${tile.tile}\n${layer}`)) return;
    this.recorded.add(`${tile.tile}\n${layer}`);
    this.session.put(tile.tile, [{ op: "shown", what: "attention", layer }]);
  }

  private readonly recorded = new Set<string>();
}
