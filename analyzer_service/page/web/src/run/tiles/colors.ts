// Color tables from the server: 256 colors each, from low to high.
import { useEffect, useState } from "preact/hooks";

import { apiUrl, getArrays } from "../../base/api";

export type ColorName = "viridis" | "cividis" | "magma" | "gray" | "dashboard";
export type Table = Uint8Array;
export type Tables = Record<ColorName, Table>;

export const COLOR_NAMES: Record<ColorName, string> = {
  viridis: "Viridis",
  cividis: "Cividis",
  magma: "Magma",
  gray: "Gray",
  dashboard: "As dashboards",
};

const LEVELS = 256;
let loading: Promise<Tables> | null = null;

function loadTables(): Promise<Tables> {
  loading ??= getArrays(apiUrl(["colors"])).then(
    ({ arrays }) =>
      Object.fromEntries([...arrays].map(([name, { data }]) => [name, data])) as Tables,
  );
  loading.catch(() => (loading = null));
  return loading;
}

export function useColorTables(): { tables: Tables | null; error: unknown } {
  const [tables, setTables] = useState<Tables | null>(null);
  const [error, setError] = useState<unknown>(null);
  useEffect(() => void loadTables().then(setTables, setError), []);
  return { tables, error };
}

/** Index of a value's color: 256 bins of equal width, as matplotlib has them. */
export function levelOf(value: number, low: number, high: number): number {
  const level = Math.floor(((value - low) / (high - low)) * LEVELS);
  return Math.min(LEVELS - 1, Math.max(0, level));
}
