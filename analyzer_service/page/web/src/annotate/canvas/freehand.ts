// Outlines drawn in one go: from pressing to letting go. A second finger ends it: that is to zoom.
import type OlMap from "ol/Map";
import type MapBrowserEvent from "ol/MapBrowserEvent";
import OlFeature from "ol/Feature";
import LineString from "ol/geom/LineString";
import Polygon from "ol/geom/Polygon";
import PointerInteraction from "ol/interaction/Pointer";
import type VectorSource from "ol/source/Vector";

import { THINNED_BY_PX } from "./geometry";

/** Screen pixels between two positions of a drag that is a click after all. */
const CLICK_PX = 4;

export class Freehand extends PointerInteraction {
  private line: number[][] = [];
  private sketch: OlFeature | null = null;

  /**
   * @param sketches shows what is being drawn.
   * @param drawn given the closed outline.
   * @param starts whether pressing there begins an outline.
   */
  constructor(
    private readonly sketches: VectorSource,
    private readonly drawn: (outline: Polygon) => void,
    private readonly starts: (event: MapBrowserEvent) => boolean,
  ) {
    super();
  }

  override handleEvent(event: MapBrowserEvent): boolean {
    if (event.type === "pointerdown" && (event.activePointers?.length ?? 0) > 1) {
      this.abort();
      return true;
    }
    return super.handleEvent(event);
  }

  override handleDownEvent(event: MapBrowserEvent): boolean {
    if (!this.starts(event)) return false;
    this.line = [event.coordinate];
    return true;
  }

  override handleDragEvent(event: MapBrowserEvent): void {
    this.line.push(...positions(event));
    const outline = new Polygon([[...this.line, this.line[0]!]]);
    if (this.sketch) this.sketch.setGeometry(outline);
    else this.sketches.addFeature((this.sketch = new OlFeature(outline)));
  }

  override handleUpEvent(event: MapBrowserEvent): boolean {
    const line = this.line;
    this.abort();
    if (reach(line) > CLICK_PX * event.map.getView().getResolution()!) {
      this.drawn(thinned(line, event.map));
    }
    return false;
  }

  /** Forget what is being drawn; whether there was anything. */
  abort(): boolean {
    const drawing = this.sketch !== null;
    if (this.sketch) this.sketches.removeFeature(this.sketch);
    this.sketch = null;
    this.line = [];
    this.handlingDownUpSequence = false;
    return drawing;
  }
}

/** Every place that the pointer passed, also those between two frames of the screen. */
function positions(event: MapBrowserEvent): number[][] {
  const { map } = event;
  const moved = event.originalEvent as PointerEvent;
  const passed = moved.getCoalescedEvents?.() ?? [];
  const events = passed.length ? passed : [moved];
  return events.map((each) => map.getCoordinateFromPixel(map.getEventPixel(each)));
}

/** By half a screen pixel at most, and by a quarter of a tile's. */
function thinned(line: number[][], map: OlMap): Polygon {
  const most = Math.min(THINNED_BY_PX, map.getView().getResolution()! / 2);
  const kept = (new LineString(line).simplify(most) as LineString).getCoordinates();
  const ring = kept.length > 2 ? kept : line;
  return new Polygon([[...ring, ring[0]!]]);
}

function reach(line: number[][]): number {
  const [first] = line;
  if (!first) return 0;
  return Math.max(...line.map((at) => Math.hypot(at[0]! - first[0]!, at[1]! - first[1]!)));
}
