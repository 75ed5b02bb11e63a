// What the server lists of each run, asked for anew every 2 s while somebody looks.
import { useCallback, useMemo, useRef, useState } from "preact/hooks";

import { apiUrl } from "../base/api";
import { usePolled } from "../base/polling";

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
  const { value, error, refresh } = usePolled<Listing>(apiUrl(["runs"]), EVERY_MS);
  const [taken, setTaken] = useState<ReadonlyMap<string, Marks>>(new Map());
  const kept = useRef(new Map<string, Kept>());
  const marked = useCallback((name: string, marks: Marks) => {
    setTaken((before) => new Map(before).set(name, marks));
  }, []);
  const runs = useMemo(() => {
    if (value === null) return null;
    ahead = value.now - Date.now() / 1000;
    return same(value.runs.map((run) => withMarks(run, taken.get(run.run))), kept.current);
  }, [value, taken]);
  return {
    runs,
    outputDir: value?.output_dir ?? "",
    outputDirName: value?.output_dir_name ?? "",
    error,
    refresh,
    marked,
  };
}

interface Kept {
  text: string;
  run: Run;
}

/** The same objects as before for runs that did not change: only others are drawn again. */
function same(runs: Run[], kept: Map<string, Kept>): Run[] {
  const now = runs.map((run) => {
    const known = kept.get(run.run);
    const text = JSON.stringify(run);
    return known?.text === text ? known : { text, run };
  });
  kept.clear();
  for (const each of now) kept.set(each.run.run, each);
  return now.map((each) => each.run);
}

/** A run with marks that are newer than an answer that was on its way as they were taken. */
function withMarks(run: Run, marks: Marks | undefined): Run {
  return marks && marks.version > run.version ? { ...run, ...marks } : run;
}
