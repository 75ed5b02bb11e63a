// What the server lists of each run, asked for anew every 2 s while somebody looks.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { apiUrl, getJson } from "../base/api";

export type Status = "running" | "finished" | "failed" | "interrupted" | "unreadable";

/** What people noted of a run; `version` grows with each change. */
export interface Marks {
  tags: string[];
  note: string;
  archived: boolean;
  version: number;
}

/** A run as `GET /api/runs` has it. Times are Unix seconds, undefined numbers null. */
export interface Run extends Marks {
  run: string;
  status: Status;
  error: string | null;
  reason: string | null;
  project: string | null;
  device: string | null;
  world_size: number | null;
  started_at: number | null;
  last_row_at: number | null;
  ended_at: number | null;
  silent_s: number | null;
  epoch: number | null;
  max_epochs: number | null;
  total_steps: number | null;
  step: number | null;
  progress: number | null;
  batches: { train: number; val: number };
  loss: number | null;
  ssim: number | null;
  val_loss: number | null;
  val_ssim: number | null;
  alerts: number;
  alerts_active: number;
}

interface Listing {
  output_dir: string;
  output_dir_name: string;
  now: number;
  runs: Run[];
}

export interface Listed {
  /** Null before the first answer. */
  runs: Run[] | null;
  outputDir: string;
  outputDirName: string;
  error: unknown;
  /** Ask again at once. */
  refresh: () => void;
  /** Show marks that the server just took, before the next answer. */
  marked: (run: string, marks: Marks) => void;
}

const EVERY_MS = 2000;

/** Seconds by which the server's clock is ahead of this one's. */
let ahead = 0;

/** Unix time in seconds, by the server's clock. */
export function serverNow(): number {
  return Date.now() / 1000 + ahead;
}

export function useListing(): Listed {
  const [listing, setListing] = useState<Listing | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [asked, setAsked] = useState(0);
  const refresh = useCallback(() => setAsked((before) => before + 1), []);
  const kept = useRef(new Map<string, Kept>());

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const ask = async () => {
      clearTimeout(timer);
      try {
        const found = await getJson<Listing>(apiUrl(["runs"]), stop.signal);
        ahead = found.now - Date.now() / 1000;
        setListing({ ...found, runs: same(found.runs, kept.current) });
        setError(null);
      } catch (failed) {
        if (!stop.signal.aborted) setError(failed);
      }
      if (!stop.signal.aborted && !document.hidden) timer = window.setTimeout(ask, EVERY_MS);
    };
    const seen = () => {
      if (!document.hidden) void ask();
    };
    void ask();
    document.addEventListener("visibilitychange", seen);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [asked]);

  const marked = useCallback((name: string, marks: Marks) => {
    setListing((before) => {
      if (before === null) return null;
      const runs = before.runs.map((run) => (run.run === name ? { ...run, ...marks } : run));
      return { ...before, runs: same(runs, kept.current) };
    });
  }, []);

  return {
    runs: listing?.runs ?? null,
    outputDir: listing?.output_dir ?? "",
    outputDirName: listing?.output_dir_name ?? "",
    error,
    refresh,
    marked,
  };
}

interface Kept {
  text: string;
  run: Run;
}

/**
 * The same objects as before for runs that did not change, so that only others are drawn again; an
 * answer that was on its way while marks were taken does not bring the older ones back.
 */
function same(runs: Run[], kept: Map<string, Kept>): Run[] {
  const now = runs.map((found) => {
    const known = kept.get(found.run);
    const run = known && known.run.version > found.version ? withMarks(found, known.run) : found;
    const text = JSON.stringify(run);
    return known && known.text === text ? known : { text, run };
  });
  kept.clear();
  for (const each of now) kept.set(each.run.run, each);
  return now.map((each) => each.run);
}

function withMarks(run: Run, { tags, note, archived, version }: Marks): Run {
  return { ...run, tags, note, archived, version };
}
