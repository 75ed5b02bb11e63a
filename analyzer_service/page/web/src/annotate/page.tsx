// Marking what is in a run's tiles.
import { render } from "preact";
import { useState } from "preact/hooks";

import { Bar } from "../base/frame";
import { recall, remember } from "../base/memory";
import { BackToRun } from "./panels/back";
import { ReaderDialog } from "./panels/reader";
import { Workbench } from "./workbench";

import "./annotate.css";

function AnnotatePage({ run }: { run: string }) {
  const [reader, setReader] = useState<string | null>(recall<string | null>("reader", null));
  const [asking, setAsking] = useState(reader === null);
  const choose = (name: string) => {
    remember("reader", name);
    setReader(name);
    setAsking(false);
  };
  return (
    <>
      {reader === null ? (
        <Bar>
          <BackToRun run={run} />
          <h1 class="visually-hidden">Annotate {run}</h1>
        </Bar>
      ) : (
        <Workbench key={reader} run={run} reader={reader} changeReader={() => setAsking(true)} />
      )}
      {asking && (
        <ReaderDialog
          run={run}
          now={reader}
          chosen={choose}
          close={reader === null ? null : () => setAsking(false)}
        />
      )}
    </>
  );
}

const app = document.getElementById("app")!;
render(<AnnotatePage run={app.dataset.run!} />, app);
