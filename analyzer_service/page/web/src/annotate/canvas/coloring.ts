// Colors of attention: from dark to light in even steps, so that people who see colors differently,
// and printers, can read them too.

export type Scale = "fixed" | "tile";

const hexes = (text: string) => text.split(" ");
/** Nine colors each, evenly spaced from low to high; between them is mixed. */
const STOPS: Record<string, string[]> = {
  viridis: hexes("440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725"),
  cividis: hexes("00224e 1b3a6d 43516c 61696f 7d7c78 9b9476 bcae6c dfcb5b fee838"),
  magma: hexes("000004 1d1147 51127c 832681 b73779 e75263 fc8961 fec488 fcfdbf"),
  gray: hexes("000000 202020 404040 606060 808080 a0a0a0 c0c0c0 e0e0e0 ffffff"),
};

export const COLOR_MAPS = Object.keys(STOPS);

/** From the lowest to the highest value of the tile, or from 0 to 1. */
export function extent(values: Float32Array, scale: Scale): [number, number] {
  if (scale === "fixed") return [0, 1];
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  const floor = Number.isFinite(low) ? low : 0;
  return low < high ? [low, high] : [floor, floor + 1];
}

/** Data URL of a map in colors; what is undefined is clear. */
export function painted(
  map: { values: Float32Array; rows: number; columns: number },
  colors: string,
  [low, high]: [number, number],
): string {
  const canvas = document.createElement("canvas");
  canvas.width = map.columns;
  canvas.height = map.rows;
  const context = canvas.getContext("2d")!;
  const image = context.createImageData(map.columns, map.rows);
  const table = tableOf(colors);
  map.values.forEach((value, i) => {
    if (!Number.isFinite(value)) return;
    const level = Math.round(Math.min(1, Math.max(0, (value - low) / (high - low))) * 255);
    image.data.set(table.subarray(4 * level, 4 * level + 4), 4 * i);
  });
  context.putImageData(image, 0, 0);
  return canvas.toDataURL();
}

/** The colors as a CSS gradient from left to right. */
export function gradient(colors: string): string {
  return `linear-gradient(to right, ${stopsOf(colors).map((stop) => `#${stop}`).join(", ")})`;
}

function stopsOf(colors: string): string[] {
  return STOPS[colors] ?? STOPS.viridis!;
}

/** RGBA of 256 levels. */
function tableOf(colors: string): Uint8ClampedArray {
  const stops = stopsOf(colors).map((hex) =>
    [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16)),
  );
  const table = new Uint8ClampedArray(4 * 256);
  for (let level = 0; level < 256; level += 1) {
    const at = (level / 255) * (stops.length - 1);
    const left = Math.min(Math.floor(at), stops.length - 2);
    for (let part = 0; part < 3; part += 1) {
      const [from, to] = [stops[left]![part]!, stops[left + 1]![part]!];
      table[4 * level + part] = from + (to - from) * (at - left);
    }
    table[4 * level + 3] = 255;
  }
  return table;
}
