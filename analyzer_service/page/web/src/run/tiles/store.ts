// Tiles that were asked for, kept a while: going back and forth over steps asks the server once.
import { apiUrl, getArrays, getJson } from "../../base/api";
import { imageOf, type FloatMap, type TileImage } from "./arrays";

export type Status = "ok" | "flat" | "tiny" | "nonfinite";

export interface LayerFacts {
  key: string;
  name: string;
  kind: "attention" | "activation";
  primary: boolean;
  grid: [number, number];
  status: Status;
  remark: string;
  min: number | null;
  max: number | null;
  /** First and 99th percentile. */
  low: number | null;
  high: number | null;
}

export interface TilePlace {
  id: string;
  source: string | null;
  slide: string | null;
  row: number | null;
  col: number | null;
  mpp: number | null;
}

type Numbers = Record<string, number | null>;

export interface StepFacts {
  release: number;
  dashboard: string | null;
  stain: "he" | "ihc" | "unknown";
  height: number;
  width: number;
  layers: Pick<LayerFacts, "key" | "name" | "kind" | "primary" | "grid">[];
  tiles: (TilePlace & { numbers: Numbers; of_layers: Record<string, Numbers> })[];
}

export interface Tile {
  facts: TilePlace & { layers: LayerFacts[] };
  images: Partial<Record<ImageName, TileImage>>;
  maps: Map<string, FloatMap>;
}

export interface Outlines {
  count: number;
  assumed_mpp: boolean;
  rings: [number, number][][];
}

export type ImageName = "input" | "reconstruction";

/** Where a tile is: a step as the list has it, and the tile's place in its batch. */
export interface Place {
  phase: string;
  number: number;
  release: number;
  position: number;
}

/** The values asked for last, up to a number of bytes; one that failed is asked for again. */
class Recent<T> {
  #kept = new Map<string, { value: Promise<T>; bytes: number }>();
  #bytes = 0;

  constructor(
    private readonly budget: number,
    private readonly sizeOf: (value: T) => number,
  ) {}

  get(key: string, load: () => Promise<T>): Promise<T> {
    const found = this.#kept.get(key) ?? { value: load(), bytes: 0 };
    const isNew = !this.#kept.delete(key);
    this.#kept.set(key, found);
    if (isNew) void this.#measure(key, found);
    return found.value;
  }

  async #measure(key: string, entry: { value: Promise<T>; bytes: number }): Promise<void> {
    try {
      entry.bytes = this.sizeOf(await entry.value);
    } catch {
      this.#kept.delete(key);
      return;
    }
    this.#bytes += entry.bytes;
    for (const [oldest, { bytes }] of this.#kept) {
      if (this.#bytes <= this.budget) break;
      this.#kept.delete(oldest);
      this.#bytes -= bytes;
    }
  }
}

const MIB = 2 ** 20;

export class TileStore {
  #steps = new Recent<StepFacts>(16 * MIB, () => 48 * 1024);
  #tiles = new Recent<Tile>(160 * MIB, bytesOf);
  #outlines = new Recent<Outlines>(16 * MIB, ({ rings }) => 64 * rings.flat().length);

  constructor(private readonly run: string) {}

  step(place: Place): Promise<StepFacts> {
    return this.#steps.get(`${place.release}`, () => getJson(this.#url(place, false)));
  }

  tile(place: Place, images: ImageName[]): Promise<Tile> {
    const key = `${place.release} ${place.position} ${images}`;
    return this.#tiles.get(key, async () => {
      const url = this.#url(place, true, ["maps"], { image: images });
      return tileOf(await getArrays<Tile["facts"]>(url));
    });
  }

  outlines(place: Place): Promise<Outlines> {
    const key = `${place.release} ${place.position}`;
    return this.#outlines.get(key, () => getJson(this.#url(place, true, ["nuclei"])));
  }

  imageUrl(place: Place, image: ImageName): string {
    return this.#url(place, true, [`${image}.png`]);
  }

  #url(place: Place, ofTile: boolean, more: string[] = [], query: { image?: string[] } = {}): string {
    const { phase, number, release, position } = place;
    const tile = ofTile ? [position] : [];
    const path = ["runs", this.run, "frames", phase, number, ...tile, ...more];
    return apiUrl(path, { release, ...query });
  }
}

/** Of the arrays, and of the canvases that images are drawn from. */
function bytesOf({ images, maps }: Tile): number {
  const pixels = Object.values(images).map(({ height, width }) => (3 + 4 + 4) * height * width);
  const cells = [...maps.values()].map(({ data }) => data.byteLength);
  return [...pixels, ...cells].reduce((sum, bytes) => sum + bytes, 0);
}

function tileOf({ facts, arrays }: Awaited<ReturnType<typeof getArrays<Tile["facts"]>>>): Tile {
  const tile: Tile = { facts, images: {}, maps: new Map() };
  for (const [name, { data, shape }] of arrays) {
    const [height, width] = shape as [number, number];
    if (data instanceof Uint8Array) {
      tile.images[name as ImageName] = imageOf(data, height, width);
    } else if (data instanceof Float32Array) {
      tile.maps.set(name, { data, height, width });
    }
  }
  return tile;
}
