// Painting on a panel's canvas: images, maps over them, outlines, a scale bar.
import type { FloatMap } from "./arrays";
import { levelOf, type Table } from "./colors";
import { partOf, type View } from "./view";

type Context = CanvasRenderingContext2D;
type Rings = [number, number][][];

export interface MapLook {
  table: Table;
  low: number;
  high: number;
  smooth: boolean;
  opacity: number;
}

/** Turquoise: tissue is stained pink, purple, blue or brown; no color of a map is white. */
export const ON_TISSUE = "#00e0d0";
export const ON_MAP = "#ffffff";

export function paintImage(context: Context, image: OffscreenCanvas, view: View): void {
  const { width, height } = context.canvas;
  const { side, left, top } = partOf(view);
  const [w, h] = [image.width * side, image.height * side];
  context.imageSmoothingEnabled = w > width; // single pixels stay visible
  context.imageSmoothingQuality = "high";
  context.drawImage(image, left * image.width, top * image.height, w, h, 0, 0, width, height);
}

export function paintMap(context: Context, map: FloatMap, look: MapLook, view: View): void {
  if (look.opacity <= 0) return;
  context.globalAlpha = look.opacity;
  if (look.smooth) {
    const { width, height } = context.canvas;
    context.drawImage(colored(smoothed(map, view, width, height), look), 0, 0);
  } else {
    paintImage(context, colored(map, look), view);
  }
  context.globalAlpha = 1;
}

export function paintOutlines(
  context: Context,
  rings: Rings,
  size: { height: number; width: number },
  view: View,
  color: string,
): void {
  const { width, height } = context.canvas;
  const { side, left, top } = partOf(view);
  const scale = width / (size.width * side);
  const path = pathOf(rings);
  context.save();
  context.setTransform(scale, 0, 0, scale, -left * size.width * scale, -top * height / side);
  for (const [style, wide] of [["#10182080", 2.6], [color, 1.3]] as const) {
    context.strokeStyle = style;
    context.lineWidth = (wide * devicePixelRatio) / scale;
    context.stroke(path);
  }
  context.restore();
}

const paths = new WeakMap<Rings, Path2D>();

/** Made once for all panels, in pixels of the tile. */
function pathOf(rings: Rings): Path2D {
  const known = paths.get(rings);
  if (known) return known;
  const path = new Path2D();
  for (const ring of rings) {
    ring.forEach(([x, y], i) => (i ? path.lineTo(x, y) : path.moveTo(x, y)));
  }
  paths.set(rings, path);
  return path;
}

/** A bar of a round length in micrometers, at the lower right; says how long it is. */
export function paintScaleBar(context: Context, widthUm: number, view: View): void {
  const { width, height } = context.canvas;
  const unit = devicePixelRatio;
  const perPixel = widthUm / view.zoom / width;
  const length = roundLength(perPixel * width * 0.3);
  const pixels = length / perPixel;
  const text = `${length} µm`;
  context.font = `600 ${11 * unit}px system-ui, sans-serif`;
  context.textAlign = "center";
  const plate = Math.max(pixels, context.measureText(text).width) + 12 * unit;
  const [right, bottom] = [width - 6 * unit, height - 6 * unit];
  context.fillStyle = "#101820b8";
  context.fillRect(right - plate, bottom - 25 * unit, plate, 25 * unit);
  context.fillStyle = "#ffffff";
  context.fillRect(right - plate / 2 - pixels / 2, bottom - 7 * unit, pixels, 3 * unit);
  context.fillText(text, right - plate / 2, bottom - 11.5 * unit);
}

/** The largest of 1, 2, 5, 10, … that is not above `most`. */
export function roundLength(most: number): number {
  const power = 10 ** Math.floor(Math.log10(most));
  return [5, 2, 1].map((digit) => digit * power).find((length) => length <= most) ?? power;
}

/** A map's values in color; what is not finite stays clear. */
function colored(map: FloatMap, { table, low, high }: MapLook): OffscreenCanvas {
  const image = new ImageData(map.width, map.height);
  const { data } = image;
  for (let i = 0; i < map.data.length; i += 1) {
    const value = map.data[i]!;
    if (!Number.isFinite(value)) continue;
    const at = 3 * levelOf(value, low, high);
    data[4 * i] = table[at]!;
    data[4 * i + 1] = table[at + 1]!;
    data[4 * i + 2] = table[at + 2]!;
    data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(map.width, map.height);
  canvas.getContext("2d")!.putImageData(image, 0, 0);
  return canvas;
}

/** The part in view, values (not colors) linear between the centers of cells, as on dashboards. */
function smoothed(map: FloatMap, view: View, width: number, height: number): FloatMap {
  const { side, left, top } = partOf(view);
  const across = cellsUnder(map.width, width, left, side);
  const down = cellsUnder(map.height, height, top, side);
  const data = new Float32Array(width * height);
  for (let y = 0, i = 0; y < height; y += 1) {
    const [above, below] = [down.before[y]! * map.width, down.after[y]! * map.width];
    const lower = down.share[y]!;
    for (let x = 0; x < width; x += 1, i += 1) {
      const [before, after, right] = [across.before[x]!, across.after[x]!, across.share[x]!];
      const one = map.data[above + before]! * (1 - right) + map.data[above + after]! * right;
      const other = map.data[below + before]! * (1 - right) + map.data[below + after]! * right;
      data[i] = one * (1 - lower) + other * lower;
    }
  }
  return { data, height, width };
}

interface Under {
  before: Int32Array;
  after: Int32Array;
  /** Of the cell after. */
  share: Float32Array;
}

/** For the center of each pixel the cells before and after it. */
function cellsUnder(cells: number, pixels: number, start: number, side: number): Under {
  const under: Under = {
    before: new Int32Array(pixels),
    after: new Int32Array(pixels),
    share: new Float32Array(pixels),
  };
  for (let i = 0; i < pixels; i += 1) {
    const at = (start + ((i + 0.5) / pixels) * side) * cells - 0.5;
    const cell = Math.floor(at);
    under.before[i] = Math.min(cells - 1, Math.max(0, cell));
    under.after[i] = Math.min(cells - 1, Math.max(0, cell + 1));
    under.share[i] = at - cell;
  }
  return under;
}
