// How the settings of runs differ, and what they came to.
import { useEffect, useState } from "preact/hooks";

import { apiUrl, getJson } from "../base/api";
import { Failed, Loading } from "../base/frame";
import { count, number } from "../base/format";
import { RUN_COLORS } from "../charts/curves";
import { Key } from "../charts/legend";

interface Compared {
  runs: { run: string; status: string; rows: { train: number; val: number } }[];
  settings: { name: string; values: string[] }[];
  same: number;
  last_rows: number;
  last: { label: string; values: (number | null)[] }[];
}

/** `version` changes when the values may have. */
export function Tables({ runs, version }: { runs: string[]; version: string }) {
  const [compared, setCompared] = useState<Compared | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [tries, setTries] = useState(0);
  const asked = runs.join("\n");
  useEffect(() => {
    const abort = new AbortController();
    getJson<Compared>(apiUrl(["compare"], { run: runs }), abort.signal)
      .then((found) => {
        setError(null);
        setCompared(found);
      })
      .catch((caught: unknown) => {
        if (!abort.signal.aborted) setError(caught);
      });
    return () => abort.abort();
  }, [asked, version, tries]);
  if (error) return <Failed error={error} retry={() => setTries((times) => times + 1)} />;
  if (!compared) return <Loading what="the settings" />;
  const names = compared.runs.map(({ run }) => run);
  const same = `${count(compared.same, "setting is", "settings are")} the same.`;
  return (
    <div class="tables">
      <details open>
        <summary>Settings that differ ({compared.settings.length})</summary>
        {compared.settings.length === 0 ? (
          <p>{runs.length < 2 ? "Choose another run to compare with." : `No setting differs; ${same}`}</p>
        ) : (
          <>
            <Table head="Setting" names={names} rows={compared.settings.map(({ name, values }) => [name, values])} />
            <small>{same}</small>
          </>
        )}
      </details>
      <details>
        <summary>Last values</summary>
        <Table
          head="Metric"
          names={names}
          rows={compared.last.map(({ label, values }) => [label, values.map((value) => number(value))])}
          numbers
        />
        <small>
          Means over the last {compared.last_rows} batches of each phase. Differences with intervals:{" "}
          <code>python -m analyzer_service compare</code>
        </small>
      </details>
    </div>
  );
}

interface TableProps {
  head: string;
  names: string[];
  rows: [string, string[]][];
  numbers?: boolean;
}

function Table({ head, names, rows, numbers = false }: TableProps) {
  return (
    <div class="scrolled" tabIndex={0} role="group" aria-label={head}>
      <table>
        <thead>
          <tr>
            <th scope="col">{head}</th>
            {names.map((name, i) => (
              <th key={name} scope="col" class={numbers ? "number" : ""}>
                <Key curve={{ color: RUN_COLORS[i]!, dash: [] }} /> {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, values]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              {values.map((value, i) => (
                <td key={names[i]} class={numbers ? "number" : ""}>
                  {value}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
