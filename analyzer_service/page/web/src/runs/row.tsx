// One run of the list: a row of the table, a card where there is no room for one.
import { Component } from "preact";

import { number } from "../base/format";
import { durationOf } from "./choosing";
import { serverNow, type Run } from "./listing";
import type { Marking } from "./marking";
import { State } from "./state";
import { Tags } from "./tags";
import { Since, Started, whole } from "./times";

export interface RowActions {
  marking: Pick<Marking, "mark" | "archive">;
  pick: (run: string, picked: boolean) => void;
  /** Open the note of a run. */
  open: (run: Run) => void;
  /** Show the runs of a tag alone. */
  filter: (tag: string) => void;
  /** Every tag that some run has, to be suggested. */
  tags: string[];
}

interface Props {
  run: Run;
  picked: boolean;
  actions: RowActions;
}

/** Drawn again only where something changed: 500 of them are asked for every 2 s. */
export class Row extends Component<Props> {
  override shouldComponentUpdate(next: Props): boolean {
    const { run, picked, actions } = this.props;
    return next.run !== run || next.picked !== picked || next.actions !== actions;
  }

  override render() {
    const { run, picked, actions } = this.props;
    return (
      <tr role="row" class={`run${picked ? " picked" : ""}${run.archived ? " archived" : ""}`}>
        <td role="cell" class="pick">
          <label>
            <input
              type="checkbox"
              checked={picked}
              disabled={run.status === "unreadable"}
              onChange={(event) => actions.pick(run.run, event.currentTarget.checked)}
            />
            <span class="visually-hidden">Pick {run.run} to compare</span>
          </label>
        </td>
        <td role="cell" class="name">
          <Name run={run} actions={actions} />
        </td>
        {run.status === "unreadable" ? <Unreadable run={run} /> : <Numbers run={run} />}
        <td role="cell" class="actions">
          <button class="quiet" onClick={() => actions.open(run)}>
            {run.note ? "Note" : "Add note"}
            <span class="visually-hidden"> of {run.run}</span>
          </button>
          <button class="quiet" onClick={() => void actions.marking.archive(run, !run.archived)}>
            {run.archived ? "Unarchive" : "Archive"}
            <span class="visually-hidden"> {run.run}</span>
          </button>
        </td>
      </tr>
    );
  }
}

function Name({ run, actions }: { run: Run; actions: RowActions }) {
  const readable = run.status !== "unreadable";
  return (
    <>
      {readable ? <a href={`/runs/${encodeURIComponent(run.run)}`}>{run.run}</a> : <b>{run.run}</b>}
      {run.archived && <small class="shelved"> archived</small>}
      <Tags run={run} actions={actions} />
      {run.note && (
        <button class="note" onClick={() => actions.open(run)} title={run.note}>
          {run.note.split("\n", 1)[0]}
        </button>
      )}
    </>
  );
}

function Unreadable({ run }: { run: Run }) {
  return (
    <td role="cell" class="unreadable" colSpan={8}>
      <span class="state unreadable">cannot be read</span>
      <p>{run.error}</p>
    </td>
  );
}

function Numbers({ run }: { run: Run }) {
  return (
    <>
      <td role="cell" class="standing-cell">
        <State run={run} />
      </td>
      <Value title="Loss" kind="train" value={run.loss} />
      <Value title="Val loss" kind="val" value={run.val_loss} />
      <Value title="SSIM" kind="train" value={run.ssim} />
      <Value title="Val SSIM" kind="val" value={run.val_ssim} />
      <td role="cell" class="number" data-title="Alerts">
        <Alerts run={run} />
      </td>
      <td role="cell" class="when" data-title="Started">
        <Started at={run.started_at} />
      </td>
      <td role="cell" class="number when" data-title="Duration">
        <Duration run={run} />
      </td>
    </>
  );
}

function Value({ title, kind, value }: { title: string; kind: string; value: number | null }) {
  return (
    <td role="cell" class={`number ${kind}`} data-title={title}>
      {title.endsWith("SSIM") ? fixed(value) : number(value)}
    </td>
  );
}

/** Values of one scale are read down the column: as many digits for each. */
function fixed(value: number | null): string {
  return value === null ? number(value) : value.toFixed(4);
}

function Alerts({ run }: { run: Run }) {
  if (run.alerts === 0) return <span class="none">0</span>;
  const href = `/runs/${encodeURIComponent(run.run)}#health`;
  const over = run.alerts - run.alerts_active;
  if (run.alerts_active === 0 || run.status !== "running") {
    return (
      <a class="past" href={href} title="Alerts that fired in this run">
        {run.alerts} fired
      </a>
    );
  }
  return (
    <a class="active" href={href} title={over ? `${over} more have cleared` : "They go on"}>
      {run.alerts_active} active
    </a>
  );
}

function Duration({ run }: { run: Run }) {
  const seconds = durationOf(run, serverNow());
  if (seconds === null) return <>–</>;
  if (run.status === "running" && run.silent_s === null && run.started_at !== null) {
    return <Since at={run.started_at} />;
  }
  return <>{whole(seconds)}</>;
}
