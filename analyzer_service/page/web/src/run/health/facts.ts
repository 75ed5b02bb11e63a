// What the server tells of a run's health, asked for every 2 s while the run goes on.
import { apiUrl } from "../../base/api";
import type { Live } from "../../base/live";
import { usePolled, type Polled } from "../../base/polling";

export type Part =
  | "run" | "books" | "failures" | "loop" | "disk" | "lag" | "workers" | "wandb" | "trainer" | "alerts";

export interface Finding {
  level: "bad" | "warn";
  part: Part;
  what: string;
  todo: string;
}

/** A line of health.jsonl; what an analyzer of another version leaves out is undefined. */
export interface Line {
  at: number;
  event: "start" | "stop" | "end" | null;
  ingest_lag_s?: number | null;
  work_lag_s?: number | null;
  frames_waiting?: number;
  waiting_bytes?: number;
  records_uncommitted?: number;
  connected?: number;
  heard_at?: number | null;
  trainer_waiting_bytes?: number | null;
  trainer_records_pending?: number | null;
  rss_bytes?: number | null;
  children_rss_bytes?: number | null;
  workers?: WorkerFacts;
  wandb?: { state: string; rows: number; images: number };
  free_bytes?: number | null;
  database_bytes?: number;
  frames_bytes?: number;
  producers?: { name: string }[];
  producers_left_out?: number;
}

/** Those of `cluster_…` are there with a cluster only. */
export interface WorkerFacts {
  size: number;
  processes: number;
  busy: number;
  calls: number;
  lost: number;
  cluster_slots?: number;
  cluster_out?: number;
  cluster_calls?: number;
  brought_back?: number;
  cluster_lost?: boolean;
}

type Column = (number | null)[];

export interface History {
  at: number[];
  ingest_lag_s: Column;
  work_lag_s: Column;
  frames_waiting: Column;
  waiting_bytes: Column;
  trainer_waiting_bytes: Column;
  records_uncommitted: Column;
  rss_bytes: Column;
  children_rss_bytes: Column;
  dropped: Column;
}

export interface FrameBooks {
  producer: string;
  stream: string;
  offered: number;
  delivered: number;
  dropped: number;
  pending: number;
  balances: boolean;
  drops: { reason: string; words: string; frames: number }[];
}

export interface RecordBooks {
  name: string;
  handed_over: number | null;
  committed: number;
  lost: number | null;
  missing: number;
  balances: boolean | null;
}

export interface Failure {
  kind: string;
  words: string;
  error: boolean;
  count: number;
  last: string;
}

export interface Alert {
  name: string;
  title: string;
  sentence: string;
  layer: string | null;
  rank: number;
  phase: string;
  since_step: number;
  since_at: number;
  last_step: number;
  last_at: number;
  cleared_at: number | null;
  peak: number | null;
}

export interface Start {
  incarnation: number;
  started_at: number;
  resumed_from_step: number | null;
  device: string;
  world_size: number;
}

export interface Health {
  now: number;
  status: "running" | "finished" | "failed" | "interrupted";
  reason: string | null;
  /** Whether an analyzer notes its health now. */
  live: boolean;
  findings: Finding[];
  current: Line | null;
  history: History;
  trainer_memory: { at: number[]; mb: number[] };
  frames: FrameBooks[];
  records: RecordBooks[];
  failures: Failure[];
  alerts: { active: Alert[]; cleared: Alert[]; fired: number };
  incarnations: Start[];
}

const EVERY_MS = 2000;

export function useHealth(run: string, { state }: Live): Polled<Health> {
  return usePolled<Health>(apiUrl(["runs", run, "health"]), EVERY_MS, {
    going: goesOn,
    // A run that ended, was taken up again, or has another alert is asked for at once.
    changed: state ? `${state.status} ${state.alerts} ${state.alerts_active}` : "",
  });
}

/** The last line, which says how the analyzer ended, comes a moment after the run's end. */
function goesOn({ status, current, now }: Health): boolean {
  return status === "running" || (current?.event === null && now - current.at < 60);
}
