// Where a run stands: its state, how far it has come, when it was last heard.
import { count } from "../base/format";
import type { Run } from "./listing";
import { Since, whole } from "./times";

export function State({ run }: { run: Run }) {
  const silent = run.status === "running" && run.silent_s !== null;
  return (
    <div class="standing">
      <span class={`state ${run.status}${silent ? " silent" : ""}`}>
        {silent ? "no analyzer" : run.status}
      </span>
      {run.status === "running" && !silent && <Progress run={run} />}
      <small>{silent ? <Silent run={run} /> : <HowFar run={run} />}</small>
    </div>
  );
}

function Progress({ run }: { run: Run }) {
  if (run.progress === null) return null;
  const percent = Math.floor(run.progress * 100);
  return (
    <div
      class="progress"
      role="progressbar"
      aria-label={`Progress of ${run.run}`}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={percent}
    >
      <span style={{ width: `${run.progress * 100}%` }} />
    </div>
  );
}

function HowFar({ run }: { run: Run }) {
  if (run.status !== "running") {
    return (
      <>
        {run.reason && <span class="reason">{run.reason}. </span>}
        {run.status === "finished" || run.progress === null ? "" : `at ${percent(run)}, `}
        {count(run.batches.train, "batch", "batches")}
      </>
    );
  }
  const parts = [epochs(run), run.progress === null ? "" : percent(run)].filter(Boolean);
  return (
    <>
      {parts.join(" · ")}
      {run.last_row_at === null ? (
        "no batch yet"
      ) : (
        <>
          <br />
          last batch <Since at={run.last_row_at} /> ago
        </>
      )}
    </>
  );
}

function Silent({ run }: { run: Run }) {
  return (
    <span title="Its analyzer was killed, or its machine is gone. The run has not ended.">
      {run.progress === null ? "" : `at ${percent(run)}; `}
      nothing written for {whole(run.silent_s ?? 0)}
    </span>
  );
}

function epochs(run: Run): string {
  if (run.epoch === null) return "";
  return `epoch ${run.epoch + 1}${run.max_epochs === null ? "" : ` of ${run.max_epochs}`}`;
}

function percent(run: Run): string {
  return `${Math.floor((run.progress ?? 0) * 100)} %`;
}
