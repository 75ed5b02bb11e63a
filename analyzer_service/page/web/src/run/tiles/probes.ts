// Validation tiles that come again, and the steps at which they are kept.
import { apiUrl, getJson } from "../../base/api";

export interface Appearance {
  release: number;
  number: number;
  position: number;
  epoch: number;
  global_step: number;
}

export interface Probe {
  id: string;
  places: Appearance[];
}

export interface Column {
  epoch: number;
  global_step: number;
}

interface Answer {
  fields: (keyof Appearance)[];
  tiles: { id: string; places: number[][] }[];
}

export async function loadProbes(run: string): Promise<Probe[]> {
  const { fields, tiles } = await getJson<Answer>(apiUrl(["runs", run, "probes"]));
  return tiles.map(({ id, places }) => ({
    id,
    places: places.map(
      (place) => Object.fromEntries(fields.map((field, i) => [field, place[i]])) as unknown as Appearance,
    ),
  }));
}

export function columnsOf(probes: Probe[]): Column[] {
  const found = new Map<number, Column>();
  for (const { places } of probes) {
    for (const { epoch, global_step } of places) found.set(global_step, { epoch, global_step });
  }
  return [...found.values()].sort((one, other) => one.global_step - other.global_step);
}

/** At most `most` of them, evenly spread, the first and the last with them. */
export function thinned<T>(all: T[], most: number): T[] {
  if (all.length <= most) return all;
  return Array.from({ length: most }, (_, i) => all[Math.round((i * (all.length - 1)) / (most - 1))]!);
}
