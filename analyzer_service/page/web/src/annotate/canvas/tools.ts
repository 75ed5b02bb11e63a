// What the pointer does: draws, moves corners or shapes, picks; and always pans and zooms.
import type MapBrowserEvent from "ol/MapBrowserEvent";
import Collection from "ol/Collection";
import type OlFeature from "ol/Feature";
import type OlGeometry from "ol/geom/Geometry";
import Point from "ol/geom/Point";
import DragPan from "ol/interaction/DragPan";
import Draw from "ol/interaction/Draw";
import Modify from "ol/interaction/Modify";
import MouseWheelZoom from "ol/interaction/MouseWheelZoom";
import PinchZoom from "ol/interaction/PinchZoom";
import Translate from "ol/interaction/Translate";

import type { Tool } from "../state/desk";
import type { Geometry, Position, Rgb } from "../state/types";
import { Freehand } from "./freehand";
import { fromOl } from "./geometry";
import { heldStyle, sketchStyle } from "./style";
import type { TileMap } from "./tile_map";

export interface Hand {
  /** A shape was drawn; null if it encloses nothing. */
  drawn(geometry: Geometry | null): void;
  /** The pointer has changed a mark. */
  changed(id: string, geometry: Geometry | null): void;
  /** The pointer asked for the corner there to be removed; whether there was one. */
  corner(at: Position, reach: number): boolean;
  /** The pointer picked a mark, or nothing; `more`: besides what is selected. */
  picked(id: string | null, more: boolean): void;
}

const TOUCH = matchMedia("(pointer: coarse)").matches;
const REACH_PX = TOUCH ? 16 : 9;
const HIT_PX = TOUCH ? 10 : 4;
/** So near to the first or the last corner, a click ends a polygon. */
const CLOSING_PX = TOUCH ? 14 : 6;
const DRAWING: readonly Tool[] = ["polygon", "freehand", "point"];
const COMBINING: readonly Tool[] = ["union", "subtract"];

export class Tools {
  /** Whether Space is held: then dragging pans, whatever the tool. */
  panning = false;
  /** Whether a click removes a corner rather than adding one. */
  removing = false;
  private tool: Tool = "select";
  private by: "freehand" | "polygon" = "freehand";
  private readonly edited = new Collection<OlFeature>();
  private readonly polygon: Draw;
  private readonly point: Draw;
  private readonly freehand: Freehand;
  private readonly modify: Modify;
  private readonly translate: Translate;
  private pointer: number[] | null = null;

  constructor(
    private readonly canvas: TileMap,
    private readonly hand: Hand,
  ) {
    const draws = (event: MapBrowserEvent) => primary(event) && !this.panning;
    const drawn = ({ feature }: { feature: OlFeature }) => hand.drawn(canvas.geometryOf(feature));
    const common = { condition: draws, freehandCondition: () => false, snapTolerance: CLOSING_PX };
    this.polygon = new Draw({ type: "Polygon", ...common });
    this.point = new Draw({ type: "Point", ...common });
    this.polygon.on("drawend", drawn);
    this.point.on("drawend", drawn);
    this.freehand = new Freehand(
      canvas.sketches,
      (outline) => hand.drawn(fromOl(outline)),
      (event) => draws(event),
    );
    this.modify = new Modify({
      features: this.edited,
      pixelTolerance: REACH_PX,
      condition: (event) => draws(event) && !this.removes(event),
      deleteCondition: () => false,
      style: heldStyle(),
    });
    this.translate = new Translate({
      layers: [canvas.marksLayer],
      hitTolerance: HIT_PX,
      condition: draws,
    });
    this.hold(this.modify, "modifystart", "modifyend");
    this.hold(this.translate, "translatestart", "translateend");
    const pan = new DragPan({ condition: (event) => this.pans(event) });
    const always = new DragPan({ condition: (event) => middle(event) || this.panning });
    always.stopDown = (handled) => handled; // nothing is drawn while the tile is moved
    const { map } = canvas;
    for (const interaction of [
      pan, new MouseWheelZoom({ duration: 120 }), new PinchZoom({ duration: 120 }),
      this.polygon, this.point, this.freehand, this.modify, this.translate, always,
    ]) {
      map.addInteraction(interaction);
    }
    map.on("click", (event) => this.clicked(event));
    map.on("pointermove", (event) => {
      this.pointer = event.pixel;
    });
    this.use("select", "freehand");
  }

  use(tool: Tool, by: "freehand" | "polygon"): void {
    if (tool !== this.tool || by !== this.by) {
      this.cancel();
      this.letGo();
    }
    this.tool = tool;
    this.by = by;
    const combining = COMBINING.includes(tool);
    this.polygon.setActive(tool === "polygon" || (combining && by === "polygon"));
    this.freehand.setActive(tool === "freehand" || (combining && by === "freehand"));
    this.point.setActive(tool === "point");
    this.modify.setActive(tool === "edit");
    this.translate.setActive(tool === "move");
  }

  color(color: Rgb): void {
    const style = sketchStyle(color);
    this.polygon.getOverlay().setStyle(style);
    this.point.getOverlay().setStyle(style);
    this.canvas.sketchLayer.setStyle(style);
  }

  /** Let the corners of these marks be moved, and of no other. */
  edit(ids: readonly string[]): void {
    const features = ids
      .map((id) => this.canvas.marks.getFeatureById(id))
      .filter((each) => each !== null);
    const now = this.edited.getArray();
    if (features.length === now.length && features.every((each, i) => each === now[i])) return;
    this.edited.clear();
    this.edited.extend(features);
  }

  /** End the polygon that is being drawn where it stands. */
  finish(): void {
    if (this.drawing) this.polygon.finishDrawing();
  }

  /** Take the last corner back; whether a polygon was being drawn. */
  back(): boolean {
    const drawing = this.drawing;
    if (drawing) this.polygon.removeLastPoint();
    return drawing;
  }

  /** Forget what is being drawn; whether there was anything. */
  cancel(): boolean {
    const drawing = this.drawing;
    this.polygon.abortDrawing();
    return this.freehand.abort() || drawing;
  }

  get drawing(): boolean {
    return (this.polygon.getOverlay().getSource()?.getFeatures() ?? []).some(
      (feature) => feature.getGeometry()?.getType() === "Polygon",
    );
  }

  /** Whether what is drawn now is drawn corner by corner, or is a point. */
  get setsCorners(): boolean {
    return this.polygon.getActive() || this.point.getActive();
  }

  /** Set a corner, or the point, at a pixel of the screen. */
  setCorner(pixel: number[]): void {
    const at = this.canvas.map.getCoordinateFromPixel(pixel);
    if (this.polygon.getActive()) this.polygon.appendCoordinates([at]);
    else this.hand.drawn(fromOl(new Point(at)));
  }

  /** Remove the corner under the pointer; whether there was one. */
  removeCorner(): boolean {
    return this.pointer !== null && this.askCorner(this.pointer);
  }

  /** What was being dragged stays as it was before. */
  private letGo(): void {
    for (const id of this.canvas.held) {
      this.canvas.marks.getFeatureById(id)?.set("geometryGiven", null, true);
    }
    this.canvas.held.clear();
  }

  private removes(event: MapBrowserEvent): boolean {
    return this.removing || (event.originalEvent as PointerEvent).altKey;
  }

  private pans(event: MapBrowserEvent): boolean {
    if ((event.activePointers?.length ?? 0) > 1) return true;
    const drags = this.freehand.getActive() || this.tool === "move";
    return primary(event) && !drags && !this.panning;
  }

  private clicked(event: MapBrowserEvent): void {
    const { tool } = this;
    if (DRAWING.includes(tool) || (COMBINING.includes(tool) && this.by === "polygon")) return;
    const pointer = event.originalEvent as PointerEvent;
    if (tool === "edit" && this.edited.getLength() && this.removes(event)) {
      this.askCorner(event.pixel);
      return;
    }
    const more = pointer.shiftKey || pointer.ctrlKey || pointer.metaKey || COMBINING.includes(tool);
    this.hand.picked(this.canvas.markAt(event.pixel, HIT_PX), more);
  }

  private askCorner(pixel: number[]): boolean {
    const { map } = this.canvas;
    const [x, y] = map.getCoordinateFromPixel(pixel);
    return this.hand.corner([x!, -y!], REACH_PX * map.getView().getResolution()!);
  }

  /** Marks that an interaction is at work on are held until it is done. */
  private hold(interaction: Modify | Translate, start: string, end: string): void {
    const on = interaction.on.bind(interaction) as (
      type: string,
      listener: (event: { features: Collection<OlFeature> }) => void,
    ) => unknown;
    on(start, ({ features }) => {
      for (const feature of features.getArray()) this.canvas.held.add(String(feature.getId()));
    });
    on(end, ({ features }) => {
      for (const feature of features.getArray()) {
        const id = String(feature.getId());
        if (!this.canvas.held.delete(id)) continue; // another tool was taken meanwhile
        feature.set("geometryGiven", null, true); // what is drawn now is not what was given
        this.hand.changed(id, fromOl(feature.getGeometry() as OlGeometry));
      }
    });
  }
}

function primary(event: MapBrowserEvent): boolean {
  const pointer = event.originalEvent as PointerEvent;
  return pointer.button === 0 && pointer.isPrimary !== false;
}

function middle(event: MapBrowserEvent): boolean {
  return (event.originalEvent as PointerEvent).button === 1;
}
