// The table of runs, sorted by the buttons in its head; long lists are drawn as they are scrolled to.
import { useEffect, useRef, useState } from "preact/hooks";

import { COLUMNS, sortedBy, type Choice } from "./choosing";
import type { Run } from "./listing";
import { Row, type RowActions } from "./row";

interface Props {
  runs: Run[];
  picked: ReadonlySet<string>;
  choice: Choice;
  change: (part: Partial<Choice>) => void;
  pickAll: (picked: boolean) => void;
  actions: RowActions;
}

const PART = 100;

export function RunTable(props: Props) {
  const [most, setMost] = useState(PART);
  const left = props.runs.length - most;
  return (
    <>
      <Table {...props} drawn={props.runs.slice(0, most)} />
      {left > 0 && <More left={left} show={() => setMost((before) => before + PART)} />}
    </>
  );
}

function More({ left, show }: { left: number; show: () => void }) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const seen = new IntersectionObserver(
      (entries) => entries.some((entry) => entry.isIntersecting) && show(),
      { rootMargin: "600px" },
    );
    seen.observe(place.current!);
    return () => seen.disconnect();
  }, [left]);
  return (
    <div ref={place} class="runs-more">
      <button onClick={show}>Show more ({left} left)</button>
    </div>
  );
}

function Table({ runs, drawn, picked, choice, change, pickAll, actions }: Props & { drawn: Run[] }) {
  const pickable = runs.filter((run) => run.status !== "unreadable");
  const all = pickable.length > 0 && pickable.every((run) => picked.has(run.run));
  return (
    <table class="runs" role="table" aria-label="Runs">
      <thead role="rowgroup">
        <tr role="row">
          <th role="columnheader" class="pick">
            <label>
              <input
                type="checkbox"
                checked={all}
                onChange={(event) => pickAll(event.currentTarget.checked)}
              />
              <span class="visually-hidden">Pick all that are shown</span>
            </label>
          </th>
          {COLUMNS.map(({ column, title, numeric, means }) => (
            <th
              key={column}
              role="columnheader"
              class={numeric ? "number" : ""}
              aria-sort={sortOf(choice, column)}
            >
              <button
                class="quiet sort"
                title={means}
                onClick={() => change(sortedBy(choice, column))}
              >
                {title}
                <span aria-hidden="true">{arrowOf(choice, column)}</span>
              </button>
            </th>
          ))}
          <th role="columnheader">
            <span class="visually-hidden">Actions</span>
          </th>
        </tr>
      </thead>
      <tbody role="rowgroup">
        {drawn.map((run) => (
          <Row key={run.run} run={run} picked={picked.has(run.run)} actions={actions} />
        ))}
      </tbody>
    </table>
  );
}

function sortOf(choice: Choice, column: string): "ascending" | "descending" | "none" {
  if (choice.column !== column) return "none";
  return choice.descending ? "descending" : "ascending";
}

function arrowOf(choice: Choice, column: string): string {
  if (choice.column !== column) return "";
  return choice.descending ? "↓" : "↑";
}
