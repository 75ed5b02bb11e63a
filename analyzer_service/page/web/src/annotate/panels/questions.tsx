// Questions before something is shown that cannot be unseen.
import { useState } from "preact/hooks";

import type { Bench } from "../state/bench";
import { useSignals } from "../state/signal";
import { Ask } from "./dialog";
import { Help } from "./help";

export function Questions({ bench }: { bench: Bench }) {
  useSignals(bench.changes);
  if (bench.asked === "help") return <Help close={() => bench.ask(null)} />;
  if (bench.asked === "attention") {
    return <AskForAttention answer={(yes, always) => bench.answerAttention(yes, always)} />;
  }
  if (bench.asked === "others") return <AskForOthers answer={(yes) => bench.answerOthers(yes)} />;
  return null;
}

function AskForAttention({ answer }: { answer: (yes: boolean, always: boolean) => void }) {
  const [always, setAlways] = useState(false);
  return (
    <Ask title="Show attention on this tile?" yes="Show it" answer={(yes) => answer(yes, always)}>
      <p>
        What you mark from then on is no longer blind to what the model looks at. That attention was
        shown is recorded with your marks of this tile, and stays so.
      </p>
      <label>
        <input
          type="checkbox"
          checked={always}
          onChange={(event) => setAlways(event.currentTarget.checked)}
        />{" "}
        Do not ask again until this page is closed; it is recorded all the same
      </label>
    </Ask>
  );
}

function AskForOthers({ answer }: { answer: (yes: boolean) => void }) {
  return (
    <Ask title="Show others’ marks on this tile?" yes="Show them" answer={answer}>
      <p>
        What you mark from then on is no longer independent of other readers. That they were shown
        is recorded with your marks of this tile, and stays so.
      </p>
    </Ask>
  );
}
