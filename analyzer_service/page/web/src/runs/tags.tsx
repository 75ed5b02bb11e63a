// Tags of a run: seen, used to filter, added and taken away where they stand.
import { useEffect, useRef, useState } from "preact/hooks";

import type { Run } from "./listing";
import type { RowActions } from "./row";

const MOST = 20;
const LONGEST = 50;
const SUGGESTED = "known-tags";

export function Tags({ run, actions }: { run: Run; actions: RowActions }) {
  const [editing, setEditing] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = () => {
    setEditing(false);
    // The button is there again only after the next drawing.
    requestAnimationFrame(() => button.current?.focus());
  };
  if (editing) return <Editor run={run} actions={actions} close={close} />;
  return (
    <span class="tags">
      {run.project && <small class="project">{run.project}</small>}
      {run.tags.map((tag) => (
        <button key={tag} class="tag" onClick={() => actions.filter(tag)} title="Show this tag alone">
          {tag}
        </button>
      ))}
      <button ref={button} class="quiet add" onClick={() => setEditing(true)}>
        {run.tags.length ? "Edit tags" : "Add tag"}
        <span class="visually-hidden"> of {run.run}</span>
      </button>
    </span>
  );
}

function Editor({ run, actions, close }: { run: Run; actions: RowActions; close: () => void }) {
  const [text, setText] = useState("");
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);

  const keep = (tags: string[]) => void actions.marking.mark(run.run, run.version, { tags });
  const add = () => {
    const tag = text.trim();
    setText("");
    if (tag && !run.tags.includes(tag)) keep([...run.tags, tag]);
  };
  const remove = (tag: string) => {
    keep(run.tags.filter((each) => each !== tag));
    input.current?.focus();
  };
  const pressed = (event: KeyboardEvent) => {
    if (event.key === "Enter" || event.key === ",") {
      event.preventDefault();
      if (text.trim()) add();
      else close();
    } else if (event.key === "Escape") {
      close();
    } else if (event.key === "Backspace" && text === "" && run.tags.length) {
      keep(run.tags.slice(0, -1));
    }
  };
  const full = run.tags.length >= MOST;

  return (
    <span class="tags editing" role="group" aria-label={`Tags of ${run.run}`}>
      {run.tags.map((tag) => (
        <span key={tag} class="tag">
          {tag}
          <button onClick={() => remove(tag)} aria-label={`Remove tag ${tag}`}>
            ×
          </button>
        </span>
      ))}
      <input
        ref={input}
        value={text}
        list={SUGGESTED}
        maxLength={LONGEST}
        disabled={full}
        placeholder={full ? `${MOST} tags are the most` : "new tag, Enter"}
        aria-label={`New tag of ${run.run}`}
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={pressed}
      />
      <button
        class="quiet"
        onClick={() => {
          add();
          close();
        }}
      >
        Done
      </button>
    </span>
  );
}

/** Tags that other runs have, offered while one is typed. */
export function KnownTags({ tags }: { tags: string[] }) {
  return (
    <datalist id={SUGGESTED}>
      {tags.map((tag) => (
        <option key={tag} value={tag} />
      ))}
    </datalist>
  );
}
