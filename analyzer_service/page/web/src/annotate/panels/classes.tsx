// Classes of marks: a color, a name and a number key each.
import { useState } from "preact/hooks";

import { css } from "../canvas/style";
import { useSignals } from "../state/signal";
import type { MarkClass, Rgb } from "../state/types";
import type { Work } from "../state/work";
import { Dialog } from "./dialog";
import { renameEverywhere } from "../state/renaming";

const MOST = 20;
const LONGEST = 80;
/** Okabe and Ito's colors: people who see colors differently can tell them apart. */
const FRESH: Rgb[] = [
  [230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66],
  [0, 114, 178], [213, 94, 0], [204, 121, 167], [187, 187, 187],
];

export function Classes({ work }: { work: Work }) {
  useSignals(work.session.changes, work.desk.changes);
  const [editing, setEditing] = useState(false);
  const { classes } = work.session;
  return (
    <section class="panel" aria-labelledby="classes-title">
      <header>
        <h2 id="classes-title">Classes</h2>
        <button class="quiet small" onClick={() => setEditing(true)}>
          Change…
        </button>
      </header>
      <div class="classes" role="group" aria-labelledby="classes-title">
        {classes.map(({ name, color }, at) => (
          <button
            key={name}
            class="class"
            aria-pressed={at === work.desk.classAt}
            aria-keyshortcuts={at < 9 ? String(at + 1) : undefined}
            onClick={() => work.classify(at)}
          >
            <Swatch color={color} />
            <span class="name">{name}</span>
            {at < 9 && <kbd>{at + 1}</kbd>}
          </button>
        ))}
      </div>
      {editing && <ClassesDialog work={work} close={() => setEditing(false)} />}
    </section>
  );
}

export function Swatch({ color }: { color: Rgb }) {
  return <span class="swatch" style={{ background: css(color) }} />;
}

interface Row extends MarkClass {
  was: string | null;
}

function ClassesDialog({ work, close }: { work: Work; close: () => void }) {
  const { session, desk } = work;
  const [rows, setRows] = useState<Row[]>(
    session.classes.map((each) => ({ ...each, was: each.name })),
  );
  const [failure, setFailure] = useState<string | null>(null);
  const set = (at: number, part: Partial<Row>) =>
    setRows(rows.map((row, i) => (i === at ? { ...row, ...part } : row)));
  const names = rows.map(({ name }) => name.trim());
  const fault = names.some((name) => !name)
    ? "Every class needs a name."
    : new Set(names).size < names.length
      ? "Two classes have the same name."
      : null;
  const save = async () => {
    try {
      await session.setClasses(rows.map(({ color }, at) => ({ name: names[at]!, color })));
      const renamed = new Map<string, string>();
      rows.forEach(({ was }, at) => {
        if (was !== null && was !== names[at]) renamed.set(was, names[at]!);
      });
      const many = await renameEverywhere(session, renamed);
      if (many) desk.say(`${many} of your marks have the new name.`);
      close();
    } catch (error) {
      setFailure(error instanceof Error ? error.message : String(error));
    }
  };
  return (
    <Dialog title="Classes" close={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (!fault) void save();
        }}
      >
        <ul class="class-rows">
          {rows.map(({ name, color }, at) => (
            <li key={at}>
              <input
                type="color"
                aria-label={`Color of ${name || "the class"}`}
                value={hex(color)}
                onInput={(event) => set(at, { color: rgb(event.currentTarget.value) })}
              />
              <input
                aria-label={`Name of class ${at + 1}`}
                value={name}
                maxLength={LONGEST}
                onInput={(event) => set(at, { name: event.currentTarget.value })}
              />
              <button
                type="button"
                class="quiet"
                aria-label={`Take ${name || "the class"} off the list`}
                disabled={rows.length === 1}
                onClick={() => setRows(rows.filter((_, i) => i !== at))}
              >
                ✕
              </button>
            </li>
          ))}
        </ul>
        <button
          type="button"
          disabled={rows.length >= MOST}
          onClick={() => setRows([...rows, { name: "", color: fresh(rows), was: null }])}
        >
          Add a class
        </button>
        <p>
          <small>
            The list is the same for all readers. A new name is given to your own marks of that
            class too; marks of a class that is taken off the list keep it.
          </small>
        </p>
        {(fault ?? failure) && <p class="fault" role="alert">{fault ?? failure}</p>}
        <div class="answers">
          <button type="button" onClick={close}>
            Cancel
          </button>
          <button class="primary" disabled={fault !== null}>
            Save classes
          </button>
        </div>
      </form>
    </Dialog>
  );
}

/** The first color that no class has yet. */
function fresh(rows: readonly Row[]): Rgb {
  const taken = new Set(rows.map(({ color }) => String(color)));
  return FRESH.find((color) => !taken.has(String(color))) ?? FRESH[0]!;
}

function hex(color: Rgb): string {
  return `#${color.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

function rgb(value: string): Rgb {
  return [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16)) as Rgb;
}
