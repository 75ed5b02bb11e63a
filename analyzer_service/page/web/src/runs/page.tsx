// The list of runs: every run of the output folder, live.
import { render } from "preact";
import { useCallback, useEffect, useMemo, useState } from "preact/hooks";

import { Bar, Failed, Loading } from "../base/frame";
import { count } from "../base/format";
import { chosen, OTHERWISE, useChoice, type Choice } from "./choosing";
import { ConflictDialog } from "./conflict";
import { useListing, type Run } from "./listing";
import { useMarking, type Marking } from "./marking";
import { Note } from "./note";
import type { RowActions } from "./row";
import { Start } from "./start";
import { RunTable } from "./table";
import { KnownTags } from "./tags";
import { Toolbar } from "./toolbar";

import "./runs.css";

function RunsPage() {
  const { runs, outputDir, outputDirName, error, refresh, marked } = useListing();
  const marking = useMarking(marked);
  return (
    <>
      <Bar>
        <h1>Runs</h1>
        {runs && <Counted runs={runs} />}
        {runs && <code title={outputDir}>{outputDirName}</code>}
      </Bar>
      <main class="content">
        {error !== null && <Failed error={error} retry={refresh} />}
        {runs === null && error === null && <Loading what="runs" />}
        {runs?.length === 0 && <Start outputDir={outputDir} />}
        {runs !== null && runs.length > 0 && <List runs={runs} marking={marking} />}
      </main>
      {marking.conflict && <ConflictDialog conflict={marking.conflict} marking={marking} />}
      <JustDone marking={marking} />
    </>
  );
}

function Counted({ runs }: { runs: Run[] }) {
  const running = runs.filter((run) => run.status === "running" && run.silent_s === null).length;
  return (
    <span>
      {count(runs.length, "run")}
      {running > 0 && `, ${running} running`}
    </span>
  );
}

function List({ runs, marking }: { runs: Run[]; marking: Marking }) {
  const [choice, change] = useChoice();
  const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
  const [open, setOpen] = useState<Run | null>(null);
  const tags = useTags(runs);
  const shown = useMemo(() => chosen(runs, choice), [runs, choice]);

  const pick = useCallback((names: string[], on: boolean) => {
    setPicked((before) => {
      const next = new Set(before);
      for (const name of names) on ? next.add(name) : next.delete(name);
      return next;
    });
  }, []);
  const { mark, archive } = marking;
  const actions: RowActions = useMemo(
    () => ({
      marking: { mark, archive },
      pick: (run, on) => pick([run], on),
      open: setOpen,
      filter: (tag) => change({ tag }),
      tags,
    }),
    [mark, archive, pick, change, tags],
  );
  const pickAll = (on: boolean) =>
    pick(shown.filter((run) => run.status !== "unreadable").map((run) => run.run), on);
  const there = useMemo(
    () => new Set(runs.map((run) => run.run).filter((name) => picked.has(name))),
    [runs, picked],
  );

  return (
    <>
      <Toolbar
        runs={runs}
        tags={tags}
        choice={choice}
        change={change}
        picked={there}
        unpick={() => setPicked(new Set())}
      />
      <KnownTags tags={tags} />
      {shown.length > 0 ? (
        <RunTable
          runs={shown}
          picked={there}
          choice={choice}
          change={change}
          pickAll={pickAll}
          actions={actions}
        />
      ) : (
        <NoneFits runs={runs} choice={choice} change={change} />
      )}
      {open && <Note run={open} marking={marking} close={() => setOpen(null)} />}
    </>
  );
}

/** Every tag, sorted; the same array until one comes or goes. */
function useTags(runs: Run[]): string[] {
  const text = JSON.stringify([...new Set(runs.flatMap((run) => run.tags))].sort());
  return useMemo(() => JSON.parse(text) as string[], [text]);
}

function NoneFits({
  runs,
  choice,
  change,
}: {
  runs: Run[];
  choice: Choice;
  change: (part: Partial<Choice>) => void;
}) {
  const { text, status, tag, shelf } = OTHERWISE;
  const archived = runs.filter((run) => run.archived).length;
  const filtered = choice.text || choice.status || choice.tag;
  return (
    <div class="notice">
      <p>
        <strong>{filtered ? "No run fits" : "There is no run on this shelf"}</strong>
      </p>
      <p>
        {filtered && (
          <button onClick={() => change({ text, status, tag, shelf })}>Clear the filters</button>
        )}{" "}
        {archived > 0 && choice.shelf === "current" && (
          <button onClick={() => change({ shelf: "all" })}>
            Look among {count(archived, "archived run")}, too
          </button>
        )}{" "}
        {choice.shelf === "archived" && (
          <button onClick={() => change({ shelf: "current" })}>Back to the list</button>
        )}
      </p>
    </div>
  );
}

/** What was just done, with a way back, for a while. */
function JustDone({ marking }: { marking: Marking }) {
  const { done, failed, forget } = marking;
  useEffect(() => {
    if (done === null) return;
    const timer = setTimeout(forget, 15_000);
    return () => clearTimeout(timer);
  }, [done, forget]);
  const said = failed instanceof Error ? failed.message : failed ? String(failed) : "";
  return (
    <div class="done" role="status">
      {(done || said) && (
        <p class={said ? "bad" : ""}>
          {said || done?.words}
          {!said && done?.undo && <button onClick={done.undo}>Undo</button>}
          <button class="quiet" onClick={forget} aria-label="Close this message">
            ×
          </button>
        </p>
      )}
    </div>
  );
}

render(<RunsPage />, document.getElementById("app")!);
