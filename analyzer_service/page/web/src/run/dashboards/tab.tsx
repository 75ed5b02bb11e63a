// The tab "Dashboards" of a run: all that were drawn, the newest first.
import { useState } from "preact/hooks";

import { apiUrl, getJson } from "../../base/api";
import { Empty, Failed, Loading } from "../../base/frame";
import { number } from "../../base/format";
import { useFollowed } from "../followed";
import type { TabProps } from "../tabs";
import { Large } from "./large";

import "./dashboards.css";

export interface Drawn {
  id: number;
  phase: "train" | "val";
  number: number;
  file: string;
  global_step: number | null;
  epoch: number | null;
  loss: number | null;
  ssim: number | null;
}

type Filter = "all" | Drawn["phase"];
const FILTERS: Record<Filter, string> = { all: "All", val: "Validation", train: "Training" };
const PAGE = 60;

export function DashboardsTab({ run, live }: TabProps) {
  const { value, error, retry } = useFollowed<Drawn[]>(live.state?.dashboards, () =>
    getJson(apiUrl(["runs", run, "dashboards"])),
  );
  const [filter, setFilter] = useState<Filter>("all");
  const [most, setMost] = useState(PAGE);
  const [opened, setOpened] = useState<string | null>(fileOfAddress());
  if (error && !value) return <Failed error={error} retry={retry} />;
  if (!value) return <Loading what="dashboards" />;
  if (!value.length) return <NoDashboards running={live.state?.status === "running"} />;

  const shown = value.filter(({ phase }) => filter === "all" || phase === filter).reverse();
  const open = (file: string | null) => {
    setOpened(file);
    history.replaceState(null, "", file ? `#dashboards/${encodeURIComponent(file)}` : "#dashboards");
  };
  return (
    <>
      <div class="gallery-bar">
        <span class="group" role="group" aria-label="Phase">
          {(Object.keys(FILTERS) as Filter[]).map((name) => (
            <button key={name} aria-pressed={filter === name} onClick={() => setFilter(name)}>
              {FILTERS[name]} {name === "all" ? value.length : value.filter(({ phase }) => phase === name).length}
            </button>
          ))}
        </span>
        <span class="soft">the newest first</span>
      </div>
      {!shown.length && <Empty title="No dashboard of this phase is drawn yet." />}
      <ul class="gallery">
        {shown.slice(0, most).map((drawn) => (
          <Card key={drawn.id} run={run} drawn={drawn} open={() => open(drawn.file)} />
        ))}
      </ul>
      {most < shown.length && (
        <button onClick={() => setMost(most + PAGE)}>Show more ({shown.length - most} are left)</button>
      )}
      {opened && <Large run={run} dashboards={shown.length ? shown : value} file={opened} open={open} />}
    </>
  );
}

function Card({ run, drawn, open }: { run: string; drawn: Drawn; open: () => void }) {
  return (
    <li>
      <button class="card" onClick={open}>
        <img
          src={apiUrl(["runs", run, "dashboards", drawn.file], { width: 480 })}
          alt=""
          width={480}
          height={316}
          loading="lazy"
          decoding="async"
        />
        <span class="caption">
          <strong>
            <span class="visually-hidden">Dashboard of </span>
            {words(drawn)}
          </strong>
          <span class="soft">
            epoch {number(drawn.epoch)}, step {number(drawn.global_step)} · SSIM {number(drawn.ssim, 3)}
          </span>
        </span>
      </button>
    </li>
  );
}

export function words({ phase, number: batch }: Drawn): string {
  return `${phase === "val" ? "validation" : "training"} batch ${batch.toLocaleString("en-US")}`;
}

function NoDashboards({ running }: { running: boolean }) {
  return (
    <Empty title="No dashboard is drawn yet.">
      <p>
        {running
          ? "The first appears with the first detailed step: a validation batch, or a training batch at each analysis_freq."
          : "The run had no detailed step."}
      </p>
    </Empty>
  );
}

/** #dashboards/val_batch_000001.png opens that one; it is compared with the list, no path. */
function fileOfAddress(): string | null {
  const [tab, file] = location.hash.slice(1).split("/");
  return tab === "dashboards" && file ? decodeURIComponent(file) : null;
}
