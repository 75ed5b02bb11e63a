// Where a run stands: its state, how far it has come, when it was last heard.
import { count } from "../base/format";
import { epochs, percent, Progress } from "../base/progress";
import type { Run } from "./listing";
import { Since, whole } from "./times";

export function State({ run }: { run: Run }) {
  const silent = run.status === "running" && run.silent_s !== null;
  return (
    <div class="standing">
      <span class={`state ${run.status}${silent ? " silent" : ""}`}>
        {silent ? "no analyzer" : run.status}
      </span>
      {run.status === "running" && !silent && <Progress share={run.progress} name={`Progress of ${run.run}`} />}
      <small>{silent ? <Silent run={run} /> : <HowFar run={run} />}</small>
    </div>
  );
}

function HowFar({ run }: { run: Run }) {
  if (run.status !== "running") {
    return (
      <>
        {run.reason && <span class="reason">{run.reason}. </span>}
        {run.status === "finished" || run.progress === null ? "" : `at ${percent(run.progress)}, `}
        {count(run.batches.train, "batch", "batches")}
      </>
    );
  }
  const parts = [epochs(run), run.progress === null ? "" : percent(run.progress)].filter(Boolean);
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
      {run.progress === null ? "" : `at ${percent(run.progress)}; `}
      nothing written for {whole(run.silent_s ?? 0)}
    </span>
  );
}
