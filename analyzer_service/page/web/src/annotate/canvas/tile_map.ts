// The tile as a map in its own pixels: the image, attention over it, others' marks, one's own.
import ImageLayer from "ol/layer/Image";
import VectorLayer from "ol/layer/Vector";
import OlMap from "ol/Map";
import OlFeature from "ol/Feature";
import Projection from "ol/proj/Projection";
import ImageStatic from "ol/source/ImageStatic";
import VectorSource from "ol/source/Vector";
import View from "ol/View";

import type { Feature, Geometry } from "../state/types";
import { fromOl, same, toOl } from "./geometry";
import { styleOf, type Look } from "./style";

import "ol/ol.css";

/** Screen pixels a tile's pixel, from which on pixels are shown as squares. */
const CRISP_FROM = 4;
const CLOSEST = 64;
const MARGIN_PX = 24;
const ZOOM_STEP = 0.5;
/** Units of the map are pixels of the tile, whatever the tile. */
const PIXELS = new Projection({ code: "tile", units: "pixels", extent: [-1e6, -1e6, 1e6, 1e6] });

export interface Sight {
  /** Middle of what is seen, in pixels of the tile, and tile pixels a screen pixel. */
  x: number;
  y: number;
  resolution: number;
}

export class TileMap {
  readonly map: OlMap;
  readonly marks = new VectorSource();
  readonly sketches = new VectorSource();
  readonly marksLayer = new VectorLayer({ source: this.marks, style: styleOf, declutter: true });
  /** Ids of marks that the pointer is changing: nothing else may change them meanwhile. */
  readonly held = new Set<string>();
  private readonly others = new VectorSource();
  private readonly smooth = new ImageLayer<ImageStatic>({ minResolution: 1 / CRISP_FROM });
  private readonly crisp = new ImageLayer<ImageStatic>({ maxResolution: 1 / CRISP_FROM });
  private readonly attention = new ImageLayer<ImageStatic>();
  private size: [number, number] = [1, 1];
  /** The resolution at which all of the tile was shown last. */
  private fitted = 0;

  constructor(
    private readonly element: HTMLElement,
    private readonly seen: (sight: Sight) => void,
  ) {
    const othersLayer = new VectorLayer({ source: this.others, style: styleOf, declutter: true });
    const sketchLayer = new VectorLayer({ source: this.sketches, zIndex: 5 });
    this.map = new OlMap({
      target: element,
      layers: [this.smooth, this.crisp, this.attention, othersLayer, this.marksLayer, sketchLayer],
      controls: [],
      interactions: [],
      moveTolerance: 4,
    });
    this.sketchLayer = sketchLayer;
    // The middle button moves the tile; browsers would begin to scroll.
    element.addEventListener("mousedown", (event) => {
      if (event.button === 1) event.preventDefault();
    });
    this.map.on("moveend", () => this.report());
    this.map.on("change:size", () => this.keepFitting());
  }

  readonly sketchLayer: VectorLayer;

  close(): void {
    this.map.setTarget(undefined);
    this.map.dispose();
  }

  /** Make room for a tile, all of it in sight. */
  setTile(width: number, height: number): void {
    this.size = [width, height];
    this.setImage(null);
    this.attention.setSource(null);
    const fitting = (this.fitted = this.fitting());
    this.map.setView(
      new View({
        projection: PIXELS,
        center: [width / 2, -height / 2],
        resolution: fitting,
        minResolution: 1 / CLOSEST,
        maxResolution: Math.max(2 * fitting, 1),
        extent: this.extent,
        constrainOnlyCenter: true,
        smoothExtentConstraint: false,
        smoothResolutionConstraint: false,
        enableRotation: false,
        showFullExtent: true,
      }),
    );
  }

  /** Show the tile's image; null while it is on its way. */
  setImage(url: string | null): void {
    const imageExtent = this.extent;
    const source = (interpolate: boolean) =>
      url === null ? null : new ImageStatic({ url, imageExtent, projection: PIXELS, interpolate });
    this.smooth.setSource(source(true));
    this.crisp.setSource(source(false));
  }

  /** Bring the marks up to date; those that the pointer holds are left alone. */
  showMarks(features: readonly Feature[], lookOf: (feature: Feature) => Look): void {
    bring(this.marks, features, lookOf, this.held);
  }

  showOthers(features: readonly Feature[], lookOf: (feature: Feature) => Look): void {
    bring(this.others, features, lookOf, NONE);
  }

  /** Lay a map over the image; null takes it away. */
  showAttention(image: string | null, opacity: number): void {
    if (image === null) this.attention.setSource(null);
    else {
      this.attention.setSource(
        new ImageStatic({
          url: image,
          imageExtent: this.extent,
          projection: PIXELS,
          interpolate: false,
        }),
      );
    }
    this.attention.setOpacity(opacity);
  }

  setOpacity(opacity: number): void {
    this.attention.setOpacity(opacity);
  }

  /** Id of the mark at a place of the screen: the smallest one, so that none hides another. */
  markAt(pixel: number[], reach: number): string | null {
    let best: { id: string; area: number } | null = null;
    this.map.forEachFeatureAtPixel(
      pixel,
      (feature) => {
        const geometry = feature.getGeometry();
        const extent = geometry?.getExtent() ?? [0, 0, 0, 0];
        const area = (extent[2]! - extent[0]!) * (extent[3]! - extent[1]!);
        if (!best || area < best.area) best = { id: String(feature.getId()), area };
      },
      { layerFilter: (layer) => layer === this.marksLayer, hitTolerance: reach },
    );
    return (best as { id: string } | null)?.id ?? null;
  }

  geometryOf(feature: OlFeature): Geometry | null {
    return fromOl(feature.getGeometry()!);
  }

  fit(): void {
    const [width, height] = this.size;
    this.fitted = this.fitting();
    this.go({ center: [width / 2, -height / 2], resolution: this.fitted });
  }

  zoom(steps: number): void {
    const view = this.map.getView();
    this.go({ zoom: view.getZoom()! + steps * ZOOM_STEP });
  }

  /** Where all of the tile was shown, show all of it again when there is another amount of room. */
  private keepFitting(): void {
    const view = this.map.getView();
    if (!this.fitted || view.getResolution() !== this.fitted) return;
    this.fitted = this.fitting();
    view.setResolution(this.fitted);
  }

  private get extent(): number[] {
    const [width, height] = this.size;
    return [0, -height, width, 0];
  }

  private go(to: { center?: number[]; resolution?: number; zoom?: number }): void {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.map.getView().animate({ ...to, duration: still ? 0 : 120 });
  }

  private fitting(): number {
    const [width, height] = this.size;
    const { clientWidth, clientHeight } = this.element;
    return Math.max(
      width / Math.max(clientWidth - MARGIN_PX, 50),
      height / Math.max(clientHeight - MARGIN_PX, 50),
    );
  }

  private report(): void {
    const view = this.map.getView();
    const [x, y] = view.getCenter()!;
    this.seen({ x: x!, y: -y!, resolution: view.getResolution()! });
  }
}

const NONE: ReadonlySet<string> = new Set();

/** Make a source show `features`: what is new is added, what is gone removed, the rest updated. */
function bring(
  source: VectorSource,
  features: readonly Feature[],
  lookOf: (feature: Feature) => Look,
  held: ReadonlySet<string>,
): void {
  const wanted = new Map(features.map((feature) => [feature.id, feature]));
  for (const drawn of source.getFeatures()) {
    const id = String(drawn.getId());
    if (!wanted.has(id) && !held.has(id)) source.removeFeature(drawn);
  }
  for (const [id, { geometry }] of wanted) {
    let drawn = source.getFeatureById(id);
    if (!drawn) {
      drawn = new OlFeature({ geometry: toOl(geometry) });
      drawn.setId(id);
      drawn.set("look", lookOf(wanted.get(id)!), true);
      drawn.set("geometryGiven", geometry, true);
      source.addFeature(drawn);
      continue;
    }
    if (!held.has(id) && !same(drawn.get("geometryGiven"), geometry)) {
      drawn.setGeometry(toOl(geometry));
      drawn.set("geometryGiven", geometry, true);
    }
    const look = lookOf(wanted.get(id)!);
    if (JSON.stringify(look) !== JSON.stringify(drawn.get("look"))) drawn.set("look", look);
  }
}
