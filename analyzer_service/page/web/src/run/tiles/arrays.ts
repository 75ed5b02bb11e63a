// Images and maps as arrays: their pixels, their errors, their percentiles.

export interface FloatMap {
  data: Float32Array;
  height: number;
  width: number;
}

export interface TileImage {
  /** RGB, row by row. */
  pixels: Uint8Array;
  height: number;
  width: number;
  /** The same, to be drawn. */
  color: OffscreenCanvas;
  gray: () => OffscreenCanvas;
}

export function imageOf(pixels: Uint8Array, height: number, width: number): TileImage {
  let gray: OffscreenCanvas | null = null;
  return {
    pixels,
    height,
    width,
    color: canvasOf(pixels, height, width),
    gray: () => (gray ??= canvasOf(grayOf(pixels), height, width)),
  };
}

/** Luminance with the weights of ITU-R BT.709, as dashboards have it below attention. */
function grayOf(pixels: Uint8Array): Uint8Array {
  const gray = new Uint8Array(pixels.length);
  for (let i = 0; i < pixels.length; i += 3) {
    const [r, g, b] = [pixels[i]!, pixels[i + 1]!, pixels[i + 2]!];
    gray.fill(Math.round(0.2125 * r + 0.7154 * g + 0.0721 * b), i, i + 3);
  }
  return gray;
}

function canvasOf(pixels: Uint8Array, height: number, width: number): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const data = new Uint8ClampedArray(4 * height * width).fill(255);
  for (let from = 0, to = 0; from < pixels.length; from += 3, to += 4) {
    data[to] = pixels[from]!;
    data[to + 1] = pixels[from + 1]!;
    data[to + 2] = pixels[from + 2]!;
  }
  canvas.getContext("2d")!.putImageData(new ImageData(data, width, height), 0, 0);
  return canvas;
}

/** Absolute difference, mean over channels, in [0, 1]. */
export function errorOf(one: TileImage, other: TileImage): FloatMap {
  const data = new Float32Array(one.height * one.width);
  for (let i = 0; i < data.length; i += 1) {
    let sum = 0;
    for (let c = 3 * i; c < 3 * i + 3; c += 1) sum += Math.abs(one.pixels[c]! - other.pixels[c]!);
    data[i] = sum / 3 / 255;
  }
  return { data, height: one.height, width: one.width };
}

export function meanOf(map: FloatMap): number {
  return map.data.reduce((sum, value) => sum + value, 0) / map.data.length;
}

/** Percentile in [0, 100], linear between values, as numpy's default. */
export function percentile(map: FloatMap, share: number): number {
  const sorted = map.data.toSorted();
  const at = (share / 100) * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}

/** Value of a map under a place of the tile, both as shares of height and width. */
export function valueAt(map: FloatMap, down: number, right: number): number {
  const row = Math.min(map.height - 1, Math.floor(down * map.height));
  const col = Math.min(map.width - 1, Math.floor(right * map.width));
  return map.data[row * map.width + col]!;
}
