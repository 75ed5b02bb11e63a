// Marking what is in a run's tiles.
import { render } from "preact";

import { Bar, Loading } from "../base/frame";

function AnnotatePage({ run }: { run: string }) {
  return (
    <>
      <Bar>
        <a href={`/runs/${encodeURIComponent(run)}`}>{run}</a>
      </Bar>
      <main class="content">
        <Loading what="tiles" />
      </main>
    </>
  );
}

const app = document.getElementById("app")!;
render(<AnnotatePage run={app.dataset.run!} />, app);
