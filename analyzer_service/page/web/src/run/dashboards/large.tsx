// One dashboard as large as the window, the next one by a key.
import { useEffect, useRef, useState } from "preact/hooks";

import { apiUrl } from "../../base/api";
import { words, type Drawn } from "./tab";

interface LargeProps {
  run: string;
  /** In the order of the gallery, the newest first. */
  dashboards: Drawn[];
  file: string;
  open: (file: string | null) => void;
}

export function Large({ run, dashboards, file, open }: LargeProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [broken, setBroken] = useState<string | null>(null);
  useEffect(() => dialog.current!.showModal(), []);
  const index = dashboards.findIndex((drawn) => drawn.file === file);
  const drawn = dashboards[index];
  const [newer, older] = [dashboards[index - 1], index < 0 ? undefined : dashboards[index + 1]];
  const pressed = (event: KeyboardEvent) => {
    const to = { ArrowLeft: newer, ArrowRight: older }[event.key];
    if (to) open(to.file);
  };
  const url = apiUrl(["runs", run, "dashboards", file]);
  return (
    <dialog class="large" ref={dialog} onClose={() => open(null)} onKeyDown={pressed} aria-label="Dashboard">
      <header>
        <h2>{drawn ? `Dashboard of ${words(drawn)}` : "This dashboard is not in the list"}</h2>
        <span class="grow" />
        <button disabled={!newer} onClick={() => newer && open(newer.file)} title="Newer (←)">
          ← Newer
        </button>
        <button disabled={!older} onClick={() => older && open(older.file)} title="Older (→)">
          Older →
        </button>
        {drawn && <a href={`#tiles/${drawn.phase}/${drawn.number}/0`}>Tiles</a>}
        {drawn && (
          <a href={`${url}?download`} download={file}>
            Download
          </a>
        )}
        <button onClick={() => dialog.current!.close()}>Close</button>
      </header>
      {broken === file ? (
        <p class="notice bad" role="alert">
          The file of this dashboard is gone or damaged.
        </p>
      ) : (
        drawn && (
          <a class="picture" href={url} target="_blank" rel="noreferrer" title="Open in a tab of its own">
            <img src={url} alt={`Dashboard of ${words(drawn)}`} onError={() => setBroken(file)} />
          </a>
        )
      )}
    </dialog>
  );
}
