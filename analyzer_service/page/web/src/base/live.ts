// What the server tells of a run as it is committed, as server-sent events.
import { useEffect, useState } from "preact/hooks";

import { apiUrl } from "./api";

/** Where a run stands; `version` grows with each commit that this browser was told of. */
export interface LiveState {
  status: "running" | "finished" | "failed" | "interrupted";
  /** Number of the last released row; 0 before the first. */
  released: number;
  /** Rows by phase, superseded ones left out. */
  rows: { train: number; val: number };
  epochs: number;
  dashboards: number;
  alerts: number;
  alerts_active: number;
  /** Detailed steps whose images are kept. */
  frames: number;
  /** Unix time in seconds at which the server saw the commit. */
  seen_at: number;
}

export interface Live {
  state: LiveState | null;
  /** Whether the connection to the server stands; it is tried again without end. */
  connected: boolean;
  /** Why the run cannot be read any more, if so: it was deleted, say. */
  gone: string | null;
}

export function watchRun(run: string, changed: (live: Live) => void): () => void {
  let live: Live = { state: null, connected: false, gone: null };
  const source = new EventSource(apiUrl(["runs", run, "live"]));
  const say = (part: Partial<Live>) => {
    live = { ...live, ...part };
    changed(live);
  };
  source.addEventListener("open", () => say({ connected: true, gone: null }));
  source.addEventListener("error", () => say({ connected: false }));
  source.addEventListener("state", (event) =>
    say({ connected: true, gone: null, state: JSON.parse(event.data) }),
  );
  source.addEventListener("gone", (event) => say({ gone: JSON.parse(event.data).error }));
  return () => source.close();
}

export function useLive(run: string): Live {
  const [live, setLive] = useState<Live>({ state: null, connected: false, gone: null });
  useEffect(() => watchRun(run, setLive), [run]);
  return live;
}
