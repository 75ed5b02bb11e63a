// How charts are drawn and which: in the address, so that a view can be shared, and remembered.
import { useEffect, useMemo, useState } from "preact/hooks";

import { recall, remember } from "../base/memory";
import type { Phase } from "./catalog";
import { View, type Range } from "./view";

export interface ChartSettings {
  filter: string;
  /** Share of a value that is left a thousandth of the view further on; 0 is not smoothed. */
  smoothing: number;
  log: boolean;
  clip: boolean;
  train: boolean;
  val: boolean;
  /** Key of the chart that has the whole width; empty: none. */
  wide: string;
  folded: string[];
}

const DEFAULTS: ChartSettings = {
  filter: "",
  smoothing: 0,
  log: false,
  clip: false,
  train: true,
  val: true,
  wide: "",
  folded: ["activation", "quality"],
};
const KEY = "charts";
const ADDRESS_SETTLES_MS = 200;
const REMEMBERED: (keyof ChartSettings)[] = ["smoothing", "log", "clip", "train", "val", "folded"];

/** Settings and view of the address's hash, which is `prefix` and a query; else those remembered. */
export function ofAddress(prefix: string): { settings: ChartSettings; range: Range | null } {
  const hash = location.hash.slice(1);
  const query = new URLSearchParams(hash.startsWith(`${prefix}/`) ? hash.slice(prefix.length + 1) : "");
  const kept = { ...DEFAULTS, ...recall<Partial<ChartSettings>>(KEY, {}) };
  const flag = (key: string, otherwise: boolean) =>
    query.has(key) ? query.get(key) === "1" : otherwise;
  const settings: ChartSettings = {
    filter: query.get("filter") ?? "",
    smoothing: Math.min(0.99, Math.max(0, Number(query.get("smooth") ?? kept.smoothing) || 0)),
    log: flag("log", kept.log),
    clip: flag("clip", kept.clip),
    train: flag("train", kept.train),
    val: flag("val", kept.val),
    wide: query.get("wide") ?? "",
    folded: query.has("folded") ? query.get("folded")!.split(" ").filter(Boolean) : kept.folded,
  };
  const [from, to] = [Number(query.get("from") ?? NaN), Number(query.get("to") ?? NaN)];
  return { settings, range: to > from ? { from, to } : null };
}

function intoAddress(prefix: string, settings: ChartSettings, range: Range | null): void {
  const query = new URLSearchParams();
  if (settings.filter) query.set("filter", settings.filter);
  query.set("smooth", String(settings.smoothing));
  for (const key of ["log", "clip", "train", "val"] as const) query.set(key, settings[key] ? "1" : "0");
  if (settings.wide) query.set("wide", settings.wide);
  query.set("folded", settings.folded.join(" "));
  if (range) {
    query.set("from", String(Math.round(range.from)));
    query.set("to", String(Math.round(range.to)));
  }
  // Replaced, not added: going back leads to where one came from, not to another zoom.
  history.replaceState(history.state, "", `${location.pathname}${location.search}#${prefix}/${query}`);
}

export interface Controls {
  settings: ChartSettings;
  change: (part: Partial<ChartSettings>) => void;
  view: View;
  phases: Phase[];
}

export function useControls(prefix: string): Controls {
  const initial = useMemo(() => ofAddress(prefix), [prefix]);
  const [settings, setSettings] = useState(initial.settings);
  const view = useMemo(() => new View(initial.range), [initial]);
  useEffect(() => {
    let due = 0;
    const write = () => {
      clearTimeout(due);
      // Browsers refuse an address that changes with each turn of a wheel.
      due = window.setTimeout(() => intoAddress(prefix, settings, view.range), ADDRESS_SETTLES_MS);
    };
    write();
    const kept = Object.fromEntries(REMEMBERED.map((key) => [key, settings[key]]));
    remember(KEY, kept);
    const leave = view.onChange(write);
    return () => {
      clearTimeout(due);
      leave();
    };
  }, [prefix, settings, view]);
  const phases = (["train", "val"] as const).filter((phase) => settings[phase]);
  return { settings, change: (part) => setSettings((now) => ({ ...now, ...part })), view, phases };
}
