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

const UNKNOWN: Live = { state: null, connected: false, gone: null };

/** Told of a run as long as the tab is looked at; a browser has few connections for all its tabs. */
export function watchRun(run: string, changed: (live: Live) => void): () => void {
  return watchUrl(apiUrl(["runs", run, "live"]), [run], (lives) => changed(lives.get(run)!));
}

/** As `watchRun`, of several runs on one connection. */
export function watchRuns(
  runs: string[],
  changed: (lives: Map<string, Live>) => void,
): () => void {
  return watchUrl(apiUrl(["live"], { run: runs }), runs, changed);
}

function watchUrl(
  url: string,
  runs: string[],
  changed: (lives: Map<string, Live>) => void,
): () => void {
  let lives = new Map(runs.map((run) => [run, UNKNOWN]));
  let source: EventSource | null = null;
  const say = (named: string | undefined, part: Partial<Live>) => {
    const whom = named === undefined ? runs : [named];
    lives = new Map(lives);
    for (const run of whom) lives.set(run, { ...(lives.get(run) ?? UNKNOWN), ...part });
    changed(lives);
  };
  const open = () => {
    source = new EventSource(url);
    source.addEventListener("open", () => say(undefined, { connected: true, gone: null }));
    source.addEventListener("error", () => say(undefined, { connected: false }));
    source.addEventListener("state", (event) => {
      const { run, ...state } = JSON.parse(event.data);
      say(run ?? runs[0], { connected: true, gone: null, state });
    });
    source.addEventListener("gone", (event) => {
      const { run, error } = JSON.parse(event.data);
      say(run ?? runs[0], { gone: error });
    });
  };
  const look = () => {
    source?.close();
    source = null;
    if (!document.hidden) open();
  };
  look();
  document.addEventListener("visibilitychange", look);
  return () => {
    document.removeEventListener("visibilitychange", look);
    source?.close();
  };
}

export function useLive(run: string): Live {
  const [live, setLive] = useState<Live>(UNKNOWN);
  useEffect(() => watchRun(run, setLive), [run]);
  return live;
}
