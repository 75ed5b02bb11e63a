// The list of runs to choose from.
import { useEffect, useState } from "preact/hooks";

import { apiUrl, getJson } from "../base/api";
import { Empty, Failed, Loading } from "../base/frame";
import { RUN_COLORS } from "../charts/curves";
import { Key } from "../charts/legend";
import { MOST } from "./chosen";

interface Listed {
  run: string;
  status: string;
  archived?: boolean;
}

interface ChooserProps {
  chosen: string[];
  choose: (runs: string[]) => void;
}

export function Chooser({ chosen, choose }: ChooserProps) {
  const [runs, setRuns] = useState<Listed[] | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [search, setSearch] = useState("");
  const load = () => {
    setError(null);
    getJson<{ runs: Listed[] }>(apiUrl(["runs"])).then(({ runs: found }) => setRuns(found), setError);
  };
  useEffect(load, []);
  if (error) return <Failed error={error} retry={load} />;
  if (!runs) return <Loading what="runs" />;
  if (runs.length === 0) {
    return (
      <Empty title="No run yet">
        <p>Runs appear with the first batch of a training that this folder is given for.</p>
      </Empty>
    );
  }
  const words = search.trim().toLowerCase();
  const shown = runs.filter(
    ({ run, archived }) => chosen.includes(run) || (!archived && run.toLowerCase().includes(words)),
  );
  const toggle = (run: string) =>
    choose(chosen.includes(run) ? chosen.filter((each) => each !== run) : [...chosen, run]);
  return (
    <fieldset class="chooser">
      <legend>
        {chosen.length} of at most {MOST} runs chosen
      </legend>
      <input
        type="search"
        aria-label="Search runs"
        placeholder="Search runs"
        value={search}
        onInput={(event) => setSearch(event.currentTarget.value)}
      />
      <ul>
        {shown.map(({ run, status }) => {
          const at = chosen.indexOf(run);
          return (
            <li key={run}>
              <label>
                <input
                  type="checkbox"
                  checked={at >= 0}
                  disabled={at < 0 && chosen.length >= MOST}
                  onChange={() => toggle(run)}
                />
                {at >= 0 && <Key curve={{ color: RUN_COLORS[at]!, dash: [] }} />} {run}{" "}
                <small>{status}</small>
              </label>
            </li>
          );
        })}
      </ul>
      {shown.length === 0 && <p>No run is named like that.</p>}
    </fieldset>
  );
}
