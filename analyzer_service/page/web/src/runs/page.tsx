// The list of runs.
import { render } from "preact";

import { Bar, Loading } from "../base/frame";

function RunsPage() {
  return (
    <>
      <Bar />
      <main class="content">
        <Loading what="runs" />
      </main>
    </>
  );
}

render(<RunsPage />, document.getElementById("app")!);
