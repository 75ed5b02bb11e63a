// One reader's workplace: tools, tiles, the open tile, and what is said of it.
import { useEffect, useMemo } from "preact/hooks";

import { Bar, Empty, Failed, Loading } from "../base/frame";
import { Assist } from "./canvas/assist";
import { Stage } from "./canvas/stage";
import { keysOf } from "./keyboard";
import { listenToKeys } from "./keys";
import { Agreement } from "./panels/agreement";
import { BackToRun } from "./panels/back";
import { Classes } from "./panels/classes";
import { Facts, Files } from "./panels/files";
import { MarkList } from "./panels/marks";
import { Questions } from "./panels/questions";
import { Record } from "./panels/record";
import { Refusals, SavingState } from "./panels/saving";
import { Seen } from "./panels/seen";
import { Strip } from "./panels/strip";
import { Toolbar } from "./panels/toolbar";
import { Bench } from "./state/bench";
import { useSignals } from "./state/signal";

interface WorkbenchProps {
  run: string;
  reader: string;
  changeReader: () => void;
}

export function Workbench({ run, reader, changeReader }: WorkbenchProps) {
  const bench = useMemo(() => new Bench(run, reader), [run, reader]);
  const { session } = bench;
  useSignals(session.changes);
  useEffect(() => bench.start(), [bench]);
  useEffect(() => listenToKeys(keysOf(bench)), [bench]);
  const any = bench.tour.tiles.length > 0;
  useEffect(() => bench.tour.begin(), [bench, any]);
  return (
    <div class="annotator">
      <div class="head">
        <Bar>
          <BackToRun run={run} />
          <h1 class="visually-hidden">Annotate {run}</h1>
          <SavingState session={session} />
          <button class="quiet" onClick={changeReader} title="Change who is reading">
            <span class="soft">Reader</span> {reader}
          </button>
        </Bar>
        <Refusals session={session} />
        <Toolbar bench={bench} />
      </div>
      {any ? (
        <>
          <Strip bench={bench} />
          <main class="middle-part">
            <Stage bench={bench} />
            <Assist work={bench.work} tools={() => bench.easel?.tools} />
          </main>
          <Side bench={bench} />
        </>
      ) : (
        <main class="content">
          <NoTiles bench={bench} />
        </main>
      )}
      <Questions bench={bench} />
    </div>
  );
}

function NoTiles({ bench: { session } }: { bench: Bench }) {
  if (session.failure !== null) {
    return <Failed error={session.failure} retry={() => void session.loadOverview()} />;
  }
  if (!session.overview) return <Loading what="tiles" />;
  return (
    <Empty title="This run has kept no tile yet.">
      <p>
        Tiles appear here by themselves with its first detailed step. If the run is over, it kept
        none: there is nothing to annotate.
      </p>
    </Empty>
  );
}

function Side({ bench }: { bench: Bench }) {
  const { session, work } = bench;
  useSignals(session.changes);
  return (
    <aside class="side" aria-label="This tile">
      {session.marks ? (
        <>
          <div>
            <Classes work={work} />
            <Record work={work} />
          </div>
          <div>
            <Seen bench={bench} />
            <MarkList work={work} mpp={session.tile?.mpp ?? null} />
            <Agreement bench={bench} />
            <Facts work={work} />
            <Files work={work} />
          </div>
        </>
      ) : (
        session.tileFailure === null && <Loading what="marks" />
      )}
    </aside>
  );
}
