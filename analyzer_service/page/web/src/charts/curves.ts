// What a chart draws: a curve for each run, layer and phase, told apart by color and dashes.
import type { ChartInfo, ChartLine, Phase } from "./catalog";
import { PHASE_NAMES } from "./catalog";
import type { SeriesStore } from "./store";

export interface Curve {
  id: string;
  label: string;
  store: SeriesStore;
  phase: Phase;
  name: string;
  /** A custom property of the style sheet. */
  color: string;
  dash: number[];
  width: number;
}

/** Dashes are read by everyone, whatever colors they see; the first one is a plain line. */
export const DASHES: number[][] = [[], [7, 4], [2, 3], [9, 3, 2, 3], [14, 5], [4, 2, 4, 6]];
/** Shades of a phase's color, which differ in lightness: dashes alone are lost in a noisy curve. */
const SHADES: ((phase: Phase) => string)[] = [
  (phase) => `--${phase}`,
  (phase) => `--${phase}-2`,
  (phase) => `--${phase}-3`,
];
export const RUN_COLORS = Array.from({ length: 8 }, (_, i) => `--run-${i + 1}`);

/** A run's own charts: training and validation by color, layers by shade and dashes. */
export function ofRun(store: SeriesStore, chart: ChartInfo, phases: Phase[]): Curve[] {
  return phases.flatMap((phase) =>
    chart.lines.map((line, i) => ({
      id: `${phase}/${line.name}`,
      label: line.layer ? `${line.layer}, ${PHASE_NAMES[phase]}` : PHASE_NAMES[phase],
      store,
      phase,
      name: line.name,
      color: SHADES[i % SHADES.length]!(phase),
      dash: DASHES[i % DASHES.length]!,
      width: i === 0 ? 1.6 : 1.3,
    })),
  );
}

/** Runs side by side: a color each; validation is dashed. */
export function ofRuns(stores: SeriesStore[], line: ChartLine, phases: Phase[]): Curve[] {
  return stores.flatMap((store, i) =>
    phases.map((phase) => ({
      id: `${store.run}/${phase}/${line.name}`,
      label: phases.length > 1 ? `${store.run}, ${PHASE_NAMES[phase]}` : store.run,
      store,
      phase,
      name: line.name,
      color: RUN_COLORS[i % RUN_COLORS.length]!,
      dash: phase === "val" ? DASHES[1]! : [],
      width: 1.6,
    })),
  );
}
