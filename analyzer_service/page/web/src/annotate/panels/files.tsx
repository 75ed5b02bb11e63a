// Where the tile comes from, and its marks as files.
import { useRef, useState } from "preact/hooks";

import { count } from "../../base/format";
import { useSignals } from "../state/signal";
import type { Work } from "../state/work";

export function Facts({ work }: { work: Work }) {
  useSignals(work.session.changes);
  const { tile } = work.session;
  if (!tile) return null;
  const facts: [string, string][] = [
    ["Tile", tile.id],
    ["Source", tile.source ?? "–"],
    ["Slide", tile.slide ?? "–"],
    ["Place", tile.row === null ? "–" : `row ${tile.row}, column ${tile.col}`],
    ["Size", tile.width === null ? "–" : `${tile.width} × ${tile.height} px`],
    ["Pixel", tile.mpp === null ? "size not known" : `${tile.mpp} µm`],
    ["Seen in", `${tile.phase}, epoch ${tile.epoch}, step ${tile.global_step}`],
  ];
  return (
    <details class="panel">
      <summary>About this tile</summary>
      <dl class="facts-list">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}

export function Files({ work }: { work: Work }) {
  const { session } = work;
  useSignals(session.changes);
  const input = useRef<HTMLInputElement>(null);
  const [said, setSaid] = useState<string[]>([]);
  const { tile } = session;
  if (!tile) return null;
  const take = async (file: File) => {
    try {
      const content: unknown = JSON.parse(await file.text());
      const { imported, faults, ...marks } = await session.server.take(tile.tile, content);
      session.learned(tile.tile, marks);
      setSaid([`${count(imported, "mark")} imported from ${file.name}.`, ...faults]);
    } catch (error) {
      const why = error instanceof SyntaxError ? "it is not JSON" : (error as Error).message;
      setSaid([`${file.name} was not imported: ${why}`]);
    }
  };
  return (
    <details class="panel">
      <summary>Files</summary>
      <div class="row">
        <a class="button" href={session.server.exportUrl(tile.tile)} download>
          Export this tile
        </a>
        <a class="button" href={session.server.exportUrl()} download>
          Export all of mine
        </a>
        <button onClick={() => input.current?.click()}>Import…</button>
        <input
          ref={input}
          type="file"
          class="visually-hidden"
          tabIndex={-1}
          aria-label="File to import"
          accept=".geojson,.json,application/geo+json,application/json"
          onChange={(event) => {
            const file = event.currentTarget.files?.[0];
            event.currentTarget.value = "";
            if (file) void take(file);
          }}
        />
      </div>
      <p class="soft">QuPath’s GeoJSON; W3C Web Annotations are read too.</p>
      {said.length > 0 && (
        <ul role="status" class="said">
          {said.map((sentence) => (
            <li key={sentence}>{sentence}</li>
          ))}
        </ul>
      )}
    </details>
  );
}
