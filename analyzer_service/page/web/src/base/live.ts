// What the server tells of a run as it is committed, as server-sent events.
import { useEffect, useState } from "preact/hooks";

import { listenToRun } from "./sharing";
import type { Said } from "./watched";

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

/** Told of a run as long as the tab is looked at. */
export function watchRun(run: string, changed: (live: Live) => void): () => void {
  return watchRuns([run], (lives) => changed(lives.get(run)!));
}

/** As `watchRun`, of several runs. */
export function watchRuns(
  runs: string[],
  changed: (lives: Map<string, Live>) => void,
): () => void {
  let lives = new Map(runs.map((run) => [run, UNKNOWN]));
  const leave = runs.map((run) =>
    listenToRun(run, (said) => {
      lives = new Map(lives).set(run, { ...lives.get(run)!, ...partOf(said) });
      changed(lives);
    }),
  );
  return () => leave.forEach((call) => call());
}

function partOf(said: Said): Partial<Live> {
  if ("up" in said) return said.up ? { connected: true, gone: null } : { connected: false };
  const { run: _, ...content } = JSON.parse(said.data);
  if (said.event === "gone") return { gone: content.error };
  return { connected: true, gone: null, state: content };
}

export function useLive(run: string): Live {
  const [live, setLive] = useState<Live>(UNKNOWN);
  useEffect(() => watchRun(run, setLive), [run]);
  return live;
}
