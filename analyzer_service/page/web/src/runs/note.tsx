// A run's note, read and written in a dialog.
import { useEffect, useRef, useState } from "preact/hooks";

import { Failed } from "../base/frame";
import type { Run } from "./listing";
import type { Marking } from "./marking";

const LONGEST = 10_000;

/** `run` is as it was when the dialog was opened: what others change meanwhile is a conflict. */
export function Note({ run, marking, close }: { run: Run; marking: Marking; close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [text, setText] = useState(run.note);
  const [saving, setSaving] = useState(false);
  useEffect(() => dialog.current?.showModal(), []);

  const save = async () => {
    if (text === run.note) return close();
    setSaving(true);
    const outcome = await marking.mark(run.run, run.version, { note: text });
    // A conflict has a dialog of its own, which has the text, too.
    if (outcome === "failed") setSaving(false);
    else close();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) void save();
  };
  const cancel = (event: Event) => {
    if (text !== run.note && !confirm("Leave without keeping what you wrote?")) {
      event.preventDefault();
    } else {
      close();
    }
  };

  return (
    <dialog ref={dialog} class="note" aria-labelledby="note-of" onCancel={cancel}>
      <h2 id="note-of">Note of {run.run}</h2>
      <textarea
        value={text}
        rows={10}
        maxLength={LONGEST}
        aria-label={`Note of ${run.run}`}
        placeholder="What was tried, what came of it, what is next"
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      {marking.failed instanceof Error && <Failed error={marking.failed} />}
      <div class="buttons">
        <small>{text.length > LONGEST * 0.9 ? `${LONGEST - text.length} characters left` : ""}</small>
        <button onClick={cancel}>Cancel</button>
        <button class="primary" disabled={saving} onClick={() => void save()}>
          Save
        </button>
      </div>
    </dialog>
  );
}
