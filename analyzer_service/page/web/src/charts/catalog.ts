// Which charts a run has, as the server lists them (page/watching/catalog.py).

export type Phase = "train" | "val";
export const PHASES: Phase[] = ["train", "val"];
export const PHASE_NAMES: Record<Phase, string> = { train: "training", val: "validation" };

export interface ChartLine {
  name: string;
  layer: string | null;
}

export interface ChartInfo {
  key: string;
  label: string;
  unit: string;
  /** Least and largest good value; null where there is no limit. */
  good: [number | null, number | null] | null;
  lines: ChartLine[];
}

export interface Group {
  key: string;
  title: string;
  charts: ChartInfo[];
}

export interface Catalog {
  groups: Group[];
  layers: { name: string; kind: "attention" | "activation" }[];
  primary: string | null;
  rows: Record<Phase, number>;
  names: Record<Phase, string[]>;
}

/** A search as people type it: a regular expression; without letters in upper case of any case. */
export function pattern(text: string): { test: (words: string) => boolean; error: string | null } {
  if (!text.trim()) return { test: () => true, error: null };
  try {
    const found = new RegExp(text, /[A-Z]/.test(text) ? "" : "i");
    return { test: (words) => found.test(words), error: null };
  } catch (error) {
    return { test: () => true, error: error instanceof Error ? error.message : String(error) };
  }
}

/** The groups with the charts whose title or any of whose metrics `fits`. */
export function matching(groups: Group[], fits: (words: string) => boolean): Group[] {
  return groups
    .map((group) => ({
      ...group,
      charts: group.charts.filter(
        (chart) =>
          fits(chart.label) || fits(group.title) || chart.lines.some((line) => fits(line.name)),
      ),
    }))
    .filter((group) => group.charts.length > 0);
}

export function goodText(good: ChartInfo["good"], unit: string): string {
  if (!good) return "";
  const [low, high] = good;
  const of = unit ? ` ${unit}` : "";
  if (low === null) return high === null ? "" : `good: up to ${high}${of}`;
  return high === null ? `good: from ${low}${of}` : `good: ${low} to ${high}${of}`;
}
