// What the bar says of a run: its name, its state, and how far it has come.
import { apiUrl } from "../base/api";
import { count } from "../base/format";
import type { Live } from "../base/live";
import { usePolled } from "../base/polling";
import { epochs, percent, Progress } from "../base/progress";

/** As `GET /api/runs/{run}` has it. */
interface Standing {
  status: string;
  reason: string | null;
  epoch: number | null;
  max_epochs: number | null;
  progress: number | null;
  silent_s: number | null;
}

const EVERY_MS = 2000;

export function Heading({ run, live: { state, connected } }: { run: string; live: Live }) {
  const changed = `${state?.status} ${state?.epochs}`;
  const { value: standing } = usePolled<Standing>(apiUrl(["runs", run]), EVERY_MS, {
    going: ({ status }) => status === "running",
    changed,
  });
  const running = state?.status === "running";
  const silent = running && standing !== null && standing.silent_s !== null;
  return (
    <>
      <h1>{run}</h1>
      {state && (
        <span
          class={`state ${state.status}${silent ? " silent" : ""}`}
          title={silent ? "Nobody analyzes it: the analyzer was killed, or its machine is gone." : ""}
        >
          {silent ? "no analyzer" : state.status}
        </span>
      )}
      {state && standing && running && (
        <span class="how-far">
          <span>{epochs(standing)}</span>
          <Progress share={standing.progress} name="Trained so far" />
          {standing.progress !== null && <span>{percent(standing.progress)}</span>}
        </span>
      )}
      {state && !running && standing?.reason && <span class="reason">{standing.reason}</span>}
      {state && <span class="batches">{count(state.rows.train, "training batch", "training batches")}</span>}
      {state && !connected && <span role="status">reconnecting…</span>}
    </>
  );
}
