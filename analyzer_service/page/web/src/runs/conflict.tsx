// Two people, or two tabs, changed the same run: nobody's words are lost without a choice.
import { useEffect, useRef } from "preact/hooks";

import type { Change, Conflict, Marking } from "./marking";

export function ConflictDialog({ conflict, marking }: { conflict: Conflict; marking: Marking }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const { run, change, current } = conflict;
  const keepTheirs = (event: Event) => {
    event.preventDefault();
    void marking.settle(false);
  };
  return (
    <dialog ref={dialog} class="conflict" aria-labelledby="conflict-of" onCancel={keepTheirs}>
      <h2 id="conflict-of">{run} was changed meanwhile</h2>
      <p>Somebody else, or another tab of yours, changed it after you had opened it.</p>
      <div class="sides">
        <section>
          <h3>Theirs, kept now</h3>
          <Said change={change} as={current} />
        </section>
        <section>
          <h3>Yours</h3>
          <Said change={change} as={change} />
        </section>
      </div>
      <div class="buttons">
        <button onClick={keepTheirs}>Keep theirs</button>
        <button class="primary" onClick={() => void marking.settle(true)}>
          Put mine in its place
        </button>
      </div>
    </dialog>
  );
}

/** What `as` says of the fields that `change` is about. */
function Said({ change, as }: { change: Change; as: Change }) {
  return (
    <>
      {change.note !== undefined && <p class="text">{as.note || "(no note)"}</p>}
      {change.tags !== undefined && <p>{as.tags?.join(", ") || "(no tags)"}</p>}
      {change.archived !== undefined && <p>{as.archived ? "archived" : "not archived"}</p>}
    </>
  );
}
