// The tab "Charts" of a run: every number that it has, over its steps, as they come.
import { useEffect, useMemo, useState } from "preact/hooks";

import { apiUrl, getJson } from "../../base/api";
import { Empty, Failed, Loading } from "../../base/frame";
import { matching, pattern, type Catalog } from "../../charts/catalog";
import { Chart } from "../../charts/chart";
import { ofRun } from "../../charts/curves";
import { ChartGroup } from "../../charts/group";
import { useControls } from "../../charts/settings";
import { SeriesStore } from "../../charts/store";
import { Toolbar } from "../../charts/toolbar";
import type { TabProps } from "../tabs";

import "../../charts/charts.css";

const KEYS = { train: { color: "--train", dash: [] }, val: { color: "--val", dash: [] } };
/** Rows after which a metric may come that was not there before: the first ones, and each epoch's. */
const SETTLES = 40;

export function ChartsTab({ run, live }: TabProps) {
  const controls = useControls("charts");
  const { settings, change, view, phases } = controls;
  const store = useMemo(() => new SeriesStore(run, view), [run, view]);
  useEffect(() => () => store.close(), [store]);
  const rows = live.state?.rows;
  useEffect(() => {
    if (rows) store.tell(rows);
  }, [store, rows?.train, rows?.val]);

  const epoch = live.state?.epochs ?? 0;
  const early = Math.min(SETTLES, rows?.train ?? 0) + Math.min(SETTLES, rows?.val ?? 0);
  const { catalog, error, again } = useCatalog(run, `${epoch} ${early}`);
  const failed = useStoreError(store);
  if (!catalog) return error ? <Failed error={error} retry={again} /> : <Loading what="charts" />;
  if (catalog.groups.length === 0) {
    return (
      <Empty title="No batch yet">
        <p>Charts appear with the first batch that the trainer sends.</p>
      </Empty>
    );
  }
  const { test, error: invalid } = pattern(settings.filter);
  const groups = matching(catalog.groups, test);
  const found = groups.reduce((sum, group) => sum + group.charts.length, 0);
  return (
    <>
      <Toolbar controls={controls} invalid={invalid} found={found} keys={KEYS} />
      {failed !== null && <Failed error={failed} retry={() => store.retry()} />}
      {found === 0 && (
        <Empty title={`No metric matches ${settings.filter}`}>
          <p>The search looks at titles, groups and names, such as attention_entropy.</p>
        </Empty>
      )}
      {groups.map((group) => (
        <ChartGroup key={group.key} id={group.key} title={group.title} size={group.charts.length} controls={controls}>
          {group.charts.map((chart) => (
            <Chart
              key={chart.key}
              info={chart}
              curves={ofRun(
                store,
                chart,
                phases.filter((phase) => catalog.rows[phase] > 0 && has(catalog, phase, chart.lines)),
              )}
              settings={settings}
              view={view}
              sync={run}
              of={run}
              widen={(wide) => change({ wide })}
            />
          ))}
        </ChartGroup>
      ))}
    </>
  );
}

function has(catalog: Catalog, phase: "train" | "val", lines: { name: string }[]): boolean {
  const names = new Set(catalog.names[phase]);
  return lines.some((line) => names.has(line.name));
}

/** What charts there are; asked anew when `version` changes. */
function useCatalog(run: string, version: string) {
  const [catalog, setCatalog] = useState<Catalog | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    getJson<Catalog>(apiUrl(["runs", run, "metrics"]), abort.signal)
      .then((found) => {
        setError(null);
        setCatalog((had) => (JSON.stringify(had) === JSON.stringify(found) ? had : found));
      })
      .catch((caught: unknown) => {
        if (!abort.signal.aborted) setError(caught);
      });
    return () => abort.abort();
  }, [run, version, tries]);
  return { catalog, error, again: () => setTries((times) => times + 1) };
}

function useStoreError(store: SeriesStore): unknown {
  const [error, setError] = useState<unknown>(null);
  useEffect(() => store.onChange(() => setError(store.error)), [store]);
  return error;
}
