// Several runs in one chart, and how their settings differ.
import { render } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";

import { apiUrl, getJson } from "../base/api";
import { Bar, Empty, Failed } from "../base/frame";
import { watchRuns, type Live } from "../base/live";
import { matching, pattern, type Catalog, type Phase } from "../charts/catalog";
import { Chart } from "../charts/chart";
import { ofRuns } from "../charts/curves";
import { ChartGroup } from "../charts/group";
import { useControls, type Controls } from "../charts/settings";
import { SeriesStore } from "../charts/store";
import { Toolbar } from "../charts/toolbar";
import { Chooser } from "./chooser";
import { useChosen } from "./chosen";
import { merged } from "./merged";
import { Tables } from "./tables";

import "../charts/charts.css";
import "./compare.css";

const SETTLES = 40;
const KEYS = { train: { color: "--text", dash: [] }, val: { color: "--text", dash: [7, 4] } };

function ComparePage() {
  const [chosen, choose] = useChosen();
  const controls = useControls("compare");
  const [choosing, setChoosing] = useState(chosen.length < 2);
  const lives = useLives(chosen);
  useEffect(() => {
    document.title = `${[...chosen, "Compare runs"].join(" · ")} · Sidelight`;
  }, [chosen]);
  return (
    <>
      <Bar>
        <h1>Compare runs</h1>
        <button aria-expanded={choosing} onClick={() => setChoosing(!choosing)}>
          {choosing ? "Hide the list of runs" : "Choose runs"}
        </button>
      </Bar>
      <main class="content compare">
        {choosing && <Chooser chosen={chosen} choose={choose} />}
        {chosen.length === 0 ? (
          <Empty title="No run is chosen">
            <p>Choose two or more; each gets a color.</p>
          </Empty>
        ) : (
          <Compared key={chosen.join("\n")} runs={chosen} lives={lives} controls={controls} />
        )}
      </main>
    </>
  );
}

interface ComparedProps {
  runs: string[];
  lives: Map<string, Live>;
  controls: Controls;
}

function Compared({ runs, lives, controls }: ComparedProps) {
  const { settings, view, phases, change } = controls;
  const stores = useMemo(() => runs.map((run) => new SeriesStore(run, view)), [view]);
  useEffect(() => () => stores.forEach((store) => store.close()), [stores]);
  useEffect(() => {
    for (const store of stores) {
      const rows = lives.get(store.run)?.state?.rows;
      if (rows) store.tell(rows);
    }
  }, [stores, lives]);
  const version = runs.map((run) => standing(lives.get(run))).join(" ");
  const { catalogs, errors } = useCatalogs(runs, version);
  const { test, error: invalid } = pattern(settings.filter);
  const groups = useMemo(() => merged([...catalogs.values()]), [catalogs]);
  const shown = matching(groups, test);
  const found = shown.reduce((sum, group) => sum + group.charts.length, 0);
  const gone = runs.flatMap((run) => lives.get(run)?.gone ?? []);
  return (
    <>
      {[...errors, ...gone].map((error) => (
        <Failed key={String(error)} error={error} />
      ))}
      <Tables runs={runs} version={version} />
      <Toolbar controls={controls} invalid={invalid} found={found} keys={KEYS} />
      {shown.map((group) => (
        <ChartGroup key={group.key} id={group.key} title={group.title} size={group.charts.length} controls={controls}>
          {group.charts.map((chart) => (
            <Chart
              key={chart.key}
              info={chart}
              curves={ofRuns(stores, chart.lines[0]!, phases).filter((curve) =>
                knows(catalogs.get(curve.store.run), curve.phase, curve.name),
              )}
              settings={settings}
              view={view}
              sync="compare"
              of={runs.join(", ")}
              widen={(wide) => change({ wide })}
            />
          ))}
        </ChartGroup>
      ))}
    </>
  );
}

/** Changes with each epoch, and with the first rows, which bring the metrics. */
function standing(live: Live | undefined): string {
  const { epochs = 0, rows = { train: 0, val: 0 } } = live?.state ?? {};
  return [epochs, ...Object.values(rows).map((each) => Math.min(each, SETTLES))].join(",");
}

function knows(catalog: Catalog | undefined, phase: Phase, name: string): boolean {
  return catalog?.names[phase].includes(name) ?? false;
}

function useLives(runs: string[]): Map<string, Live> {
  const [lives, setLives] = useState(new Map<string, Live>());
  const watched = runs.join("\n");
  useEffect(() => (runs.length ? watchRuns(runs, setLives) : undefined), [watched]);
  return lives;
}

/** What charts each run has, in the order of `runs`; asked anew when `version` changes. */
function useCatalogs(runs: string[], version: string) {
  const [found, setFound] = useState({
    catalogs: new Map<string, Catalog>(),
    errors: [] as unknown[],
  });
  useEffect(() => {
    let left = false;
    const asked = runs.map((run) => getJson<Catalog>(apiUrl(["runs", run, "metrics"])));
    void Promise.allSettled(asked).then((settled) => {
      if (left) return;
      const catalogs = new Map<string, Catalog>();
      const errors: unknown[] = [];
      settled.forEach((each, i) => {
        if (each.status === "fulfilled") catalogs.set(runs[i]!, each.value);
        else errors.push(each.reason);
      });
      setFound({ catalogs, errors });
    });
    return () => {
      left = true;
    };
  }, [version]);
  return found;
}

render(<ComparePage />, document.getElementById("app")!);
