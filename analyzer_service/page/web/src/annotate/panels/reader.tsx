// Who is reading: asked first, since every mark stands under a name.
import { useEffect, useState } from "preact/hooks";

import { readersSoFar } from "../state/server";
import type { Overview } from "../state/types";
import { count } from "../../base/format";
import { Dialog } from "./dialog";

const LONGEST = 80;

interface ReaderProps {
  run: string;
  now: string | null;
  chosen: (name: string) => void;
  close: (() => void) | null;
}

export function ReaderDialog({ run, now, chosen, close }: ReaderProps) {
  const [name, setName] = useState(now ?? "");
  const [readers, setReaders] = useState<Overview["readers"]>([]);
  useEffect(() => {
    readersSoFar(run).then(setReaders, () => setReaders([]));
  }, [run]);
  const typed = name.trim();
  const others = readers.filter((reader) => reader.name !== now);
  return (
    <Dialog title="Who is reading?" close={close}>
      <p>
        Your marks are kept under this name, apart from those of other readers. Nobody is shown
        another's marks unless they ask for them.
      </p>
      <form
        class="answers"
        onSubmit={(event) => {
          event.preventDefault();
          if (typed) chosen(typed);
        }}
      >
        <label class="grow">
          Your name
          <input
            autofocus
            value={name}
            maxLength={LONGEST}
            autocomplete="name"
            onInput={(event) => setName(event.currentTarget.value)}
          />
        </label>
        <button class="primary" disabled={!typed}>
          Start
        </button>
      </form>
      {others.length > 0 && (
        <fieldset class="readers">
          <legend>Or go on as</legend>
          {others.map((reader) => (
            <button key={reader.name} type="button" onClick={() => chosen(reader.name)}>
              {reader.name} <small>{count(reader.tiles_done, "tile")} done</small>
            </button>
          ))}
        </fieldset>
      )}
    </Dialog>
  );
}
