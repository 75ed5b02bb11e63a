// The tile on the panels: the one that is chosen, as soon as it is there, and its neighbors ready.
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import type { Place, Tile, TileStore } from "./store";
import type { Shown } from "./pictures";

export interface Loaded extends Shown {
  place: Place;
}

export interface Showing {
  /** What is on the panels, of an earlier choice while the chosen one is loaded. */
  loaded: Loaded | null;
  error: unknown;
  /** Whether `loaded` is not yet what was chosen. */
  busy: boolean;
}

const IMAGES = ["input" as const, "reconstruction" as const];

/** Loads one choice after another; where choices come faster, those in between are left out. */
export function useShown(store: TileStore, chosen: Place | null, nuclei: boolean): Showing {
  const [loaded, setLoaded] = useState<Loaded | null>(null);
  const [error, setError] = useState<unknown>(null);
  const wanted = useRef<{ place: Place; nuclei: boolean } | null>(null);
  const working = useRef(false);
  const alive = useRef(true);
  useEffect(() => () => void (alive.current = false), []);

  const key = chosen && placeKey(chosen, nuclei);
  useLayoutEffect(() => {
    wanted.current = chosen && { place: chosen, nuclei };
    void work();
  }, [key]);

  async function work(): Promise<void> {
    if (working.current) return;
    working.current = true;
    let done: typeof wanted.current = null;
    while (alive.current && wanted.current && wanted.current !== done) {
      done = wanted.current;
      try {
        const found = await load(store, done.place, done.nuclei);
        if (!alive.current) return;
        setLoaded(found);
        setError(null);
      } catch (failed) {
        if (alive.current) setError(failed);
      }
    }
    working.current = false;
  }
  const busy = !error && key !== (loaded && placeKey(loaded.place, nuclei));
  return { loaded, error, busy };
}

/** Ask for places before they are chosen, one by one: what is chosen must not wait for them. */
export async function prefetch(
  store: TileStore,
  places: Place[],
  nuclei: boolean,
  stop: AbortSignal,
): Promise<void> {
  for (const place of places) {
    if (stop.aborted) return;
    await load(store, place, nuclei).catch(() => undefined); // said if it is chosen
  }
}

export function placeKey({ release, position }: Place, nuclei: boolean): string {
  return `${release} ${position} ${nuclei}`;
}

async function load(store: TileStore, place: Place, nuclei: boolean): Promise<Loaded> {
  const [facts, tile, outlines] = await Promise.all([
    store.step(place),
    store.tile(place, IMAGES) as Promise<Tile>,
    nuclei ? store.outlines(place) : null,
  ]);
  return { facts, tile, outlines, place, position: place.position };
}
