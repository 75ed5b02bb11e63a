// The charts of several runs as one list: a chart for each metric and layer.
import type { Catalog, ChartInfo, Group } from "../charts/catalog";

/** Of each metric and layer that any run has, one chart; `lines` holds exactly one line. */
export function merged(catalogs: Catalog[]): Group[] {
  const groups = new Map<string, { title: string; charts: Map<string, ChartInfo> }>();
  for (const catalog of catalogs) {
    for (const { key, title, charts } of catalog.groups) {
      const group = groups.get(key) ?? { title, charts: new Map<string, ChartInfo>() };
      groups.set(key, group);
      for (const chart of charts) {
        for (const line of chart.lines) {
          const label = line.layer ? `${chart.label} · ${line.layer}` : chart.label;
          const single = { ...chart, key: `${key}/${line.name}`, label, lines: [line] };
          if (!group.charts.has(single.key)) group.charts.set(single.key, single);
        }
      }
    }
  }
  return [...groups].map(([key, { title, charts }]) => ({ key, title, charts: [...charts.values()] }));
}
