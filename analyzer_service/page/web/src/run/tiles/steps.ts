// The steps whose images are kept: the whole list once, then only what is new.
import { apiUrl, getJson } from "../../base/api";
import type { Live } from "../../base/live";
import { useFollowed, type Followed } from "../followed";

export type Phase = "train" | "val";

export interface Step {
  release: number;
  phase: Phase;
  number: number;
  global_step: number;
  epoch: number;
  rank: number;
  samples: number;
  ssim: number | null;
  dashboard: string | null;
}

interface Answer {
  fields: (keyof Step)[];
  rows: (string | number | null)[][];
  total: number;
}

export function useSteps(run: string, live: Live): Followed<Step[]> {
  const state = live.state;
  const changed = state && `${state.released} ${state.frames} ${state.dashboards}`;
  return useFollowed<Step[]>(changed, (known) => loadSteps(run, known ?? []));
}

/** `known` and what came since; all anew where some went: evicted, or superseded by a resume. */
async function loadSteps(run: string, known: Step[]): Promise<Step[]> {
  const after = known.at(-1)?.release ?? 0;
  const { steps, total } = await askSteps(run, after);
  if (known.length + steps.length === total) return steps.length ? [...known, ...steps] : known;
  return after ? (await askSteps(run, 0)).steps : steps;
}

async function askSteps(run: string, after: number): Promise<{ steps: Step[]; total: number }> {
  const answer = await getJson<Answer>(apiUrl(["runs", run, "steps"], { after }));
  const steps = answer.rows.map(
    (row) => Object.fromEntries(answer.fields.map((field, i) => [field, row[i]])) as unknown as Step,
  );
  return { steps, total: answer.total };
}

/** In words: a validation batch is told by its epoch, a training batch by its step. */
export function stepWords(step: Step): string {
  const rank = step.rank ? `, rank ${step.rank}` : "";
  const name = step.phase === "val" ? "Validation" : "Training";
  return `${name} batch ${step.number.toLocaleString("en-US")}${rank}`;
}
