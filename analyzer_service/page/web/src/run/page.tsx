// One run: a tab each for its charts, tiles, dashboards and health.
import { render, type FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";

import { Bar, Failed } from "../base/frame";
import { useLive } from "../base/live";
import { ChartsTab } from "./charts/tab";
import { DashboardsTab } from "./dashboards/tab";
import { Heading } from "./heading";
import { HealthTab } from "./health/tab";
import { TilesTab } from "./tiles/tab";
import type { TabProps } from "./tabs";

import "./run.css";

const TABS: Record<string, { title: string; Tab: FunctionComponent<TabProps> }> = {
  charts: { title: "Charts", Tab: ChartsTab },
  tiles: { title: "Tiles", Tab: TilesTab },
  dashboards: { title: "Dashboards", Tab: DashboardsTab },
  health: { title: "Health", Tab: HealthTab },
};

/** The tab that the address names: #tiles, or #tiles/and-what-it-shows. */
function tabOfAddress(): string {
  const name = location.hash.slice(1).split("/")[0] ?? "";
  return name in TABS ? name : "charts";
}

function useTab(): string {
  const [tab, setTab] = useState(tabOfAddress());
  useEffect(() => {
    const changed = () => setTab(tabOfAddress());
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return tab;
}

function RunPage({ run }: { run: string }) {
  const tab = useTab();
  const live = useLive(run);
  const { title, Tab } = TABS[tab]!;
  useEffect(() => void (document.title = `${run} · ${title} · Sidelight`), [run, title]);
  const unread = live.gone !== null && live.state === null; // each tab would only say so again
  return (
    <>
      <Bar>
        <Heading run={run} live={live} />
      </Bar>
      <nav class="tabs" aria-label="Parts of the run">
        {Object.entries(TABS).map(([name, { title }]) => (
          <a key={name} href={`#${name}`} aria-current={name === tab ? "page" : undefined}>
            {title}
          </a>
        ))}
        <a href={`/runs/${encodeURIComponent(run)}/annotate`}>Annotate</a>
      </nav>
      <main class={`content tab-${tab}`}>
        {live.gone && <Failed error={new Error(live.gone)} />}
        {unread ? <a href="/">All runs</a> : <Tab run={run} live={live} />}
      </main>
    </>
  );
}

const app = document.getElementById("app")!;
render(<RunPage run={app.dataset.run!} />, app);
