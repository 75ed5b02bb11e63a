// Several runs in one chart, and how their settings differ.
import { render } from "preact";

import { Bar, Loading } from "../base/frame";

function ComparePage() {
  return (
    <>
      <Bar />
      <main class="content compare">
        <Loading what="runs" />
      </main>
    </>
  );
}

render(<ComparePage />, document.getElementById("app")!);
