// Which runs are shown, and in which order: kept in the address, so that a view can be passed on.
import { useCallback, useState } from "preact/hooks";

import type { Run, Status } from "./listing";

export type Column =
  | "run"
  | "status"
  | "loss"
  | "val_loss"
  | "ssim"
  | "val_ssim"
  | "alerts"
  | "started"
  | "duration";

export type Shelf = "current" | "archived" | "all";

export interface Choice {
  text: string;
  status: Status | "";
  tag: string;
  shelf: Shelf;
  column: Column;
  descending: boolean;
}

export const OTHERWISE: Choice = {
  text: "",
  status: "",
  tag: "",
  shelf: "current",
  column: "started",
  descending: true,
};

export const COLUMNS: { column: Column; title: string; numeric: boolean; means?: string }[] = [
  { column: "run", title: "Run", numeric: false },
  { column: "status", title: "State", numeric: false },
  { column: "loss", title: "Loss", numeric: true, means: "Of the last training batch" },
  { column: "val_loss", title: "Val loss", numeric: true, means: "Of the last validation batch" },
  { column: "ssim", title: "SSIM", numeric: true, means: "Of the last analyzed training batch" },
  {
    column: "val_ssim",
    title: "Val SSIM",
    numeric: true,
    means: "Of the last analyzed validation batch",
  },
  { column: "alerts", title: "Alerts", numeric: true },
  { column: "started", title: "Started", numeric: false },
  { column: "duration", title: "Duration", numeric: true },
];

export const STATUSES: Status[] = ["running", "finished", "failed", "interrupted", "unreadable"];

/** Columns that are best read from the largest value down; the others from the smallest up. */
const DOWN = new Set<Column>(["ssim", "val_ssim", "alerts", "started", "duration"]);

export function useChoice(): [Choice, (part: Partial<Choice>) => void] {
  const [choice, setChoice] = useState(ofAddress);
  const change = useCallback((part: Partial<Choice>) => {
    setChoice((before) => {
      const next = { ...before, ...part };
      history.replaceState(null, "", address(next));
      return next;
    });
  }, []);
  return [choice, change];
}

/** Sorting by a column: the other way round where it is sorted by it already. */
export function sortedBy(choice: Choice, column: Column): Partial<Choice> {
  const again = choice.column === column;
  return { column, descending: again ? !choice.descending : DOWN.has(column) };
}

export function chosen(runs: Run[], choice: Choice): Run[] {
  const words = choice.text.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = runs.filter((run) => fits(run, choice, words));
  return shown.sort((a, b) => compared(a, b, choice) || names(a, b));
}

function fits(run: Run, choice: Choice, words: string[]): boolean {
  if (choice.shelf !== "all" && run.archived !== (choice.shelf === "archived")) return false;
  if (choice.status && run.status !== choice.status) return false;
  if (choice.tag && !run.tags.includes(choice.tag)) return false;
  if (words.length === 0) return true;
  const text = [run.run, run.project ?? "", run.note, ...run.tags].join("\n").toLowerCase();
  return words.every((word) => text.includes(word));
}

export function durationOf(run: Run, now: number): number | null {
  if (run.started_at === null) return null;
  if (run.ended_at !== null) return run.ended_at - run.started_at;
  if (run.status === "running" && run.silent_s === null) return now - run.started_at;
  return run.last_row_at === null ? null : run.last_row_at - run.started_at;
}

function valueOf(run: Run, column: Column): number | string | null {
  switch (column) {
    case "run":
      return run.run;
    case "status":
      return STATUSES.indexOf(run.status) - (run.progress ?? 0) / 2;
    case "alerts":
      return run.status === "unreadable" ? null : run.alerts_active * 1e6 + run.alerts;
    case "started":
      return run.started_at;
    case "duration":
      return durationOf(run, Date.now() / 1000);
    default:
      return run[column];
  }
}

/** What is undefined stands last, whichever way the rest is sorted. */
function compared(a: Run, b: Run, { column, descending }: Choice): number {
  const [one, other] = [valueOf(a, column), valueOf(b, column)];
  if (one === null || other === null) return Number(one === null) - Number(other === null);
  const way = descending ? -1 : 1;
  if (typeof one === "string" || typeof other === "string") return way * names(a, b);
  return way * (one - other);
}

const order = new Intl.Collator("en", { numeric: true });

function names(a: Run, b: Run): number {
  return order.compare(a.run, b.run);
}

function ofAddress(): Choice {
  const query = new URLSearchParams(location.search);
  const of = <T extends string>(name: string, known: readonly T[], otherwise: T): T =>
    known.find((each) => each === query.get(name)) ?? otherwise;
  return {
    text: query.get("search") ?? "",
    status: of<Status | "">("state", STATUSES, ""),
    tag: query.get("tag") ?? "",
    shelf: of<Shelf>("shelf", ["archived", "all"], "current"),
    column: of<Column>("sort", COLUMNS.map((each) => each.column), OTHERWISE.column),
    descending: (query.get("order") ?? "down") === "down",
  };
}

function address(choice: Choice): string {
  const query = new URLSearchParams();
  if (choice.text) query.set("search", choice.text);
  if (choice.status) query.set("state", choice.status);
  if (choice.tag) query.set("tag", choice.tag);
  if (choice.shelf !== "current") query.set("shelf", choice.shelf);
  if (choice.column !== OTHERWISE.column) query.set("sort", choice.column);
  if (!choice.descending) query.set("order", "up");
  return query.size ? `?${query}` : location.pathname;
}
