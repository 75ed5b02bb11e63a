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
    color: canvasOf(height, width, (i) => [pixels[3 * i]!, pixels[3 * i + 1]!, pixels[3 * i + 2]!]),
    gray: () => (gray ??= grayOf(pixels, height, width)),
  };
}

/** Luminance with the weights of ITU-R BT.709, as dashboards have it below attention. */
function grayOf(pixels: Uint8Array, height: number, width: number): OffscreenCanvas {
  return canvasOf(height, width, (i) => {
    const [r, g, b] = [pixels[3 * i]!, pixels[3 * i + 1]!, pixels[3 * i + 2]!];
    const light = Math.round(0.2125 * r + 0.7154 * g + 0.0721 * b);
    return [light, light, light];
  });
}

function canvasOf(
  height: number,
  width: number,
  at: (i: number) => [number, number, number],
): OffscreenCanvas {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  for (let i = 0; i < height * width; i += 1) {
    image.data.set(at(i), 4 * i);
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d")!.putImageData(image, 0, 0);
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
