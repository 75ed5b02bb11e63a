// What the reader says of the tile as a whole.
import { useEffect, useRef, useState } from "preact/hooks";

import { useSignals } from "../state/signal";
import type { Confidence } from "../state/types";
import type { Work } from "../state/work";

const CONFIDENCES: Confidence[] = ["low", "medium", "high"];
const REASONS = ["unsharp", "artifact", "cannot tell", "other"];
const TYPED_MS = 500;
const LONGEST = 4000;

export function Record({ work }: { work: Work }) {
  useSignals(work.session.changes);
  const { marks, tile } = work.session;
  if (!marks || !tile) return null;
  const { record, features } = marks;
  return (
    <section class="panel" aria-labelledby="record-title">
      <header>
        <h2 id="record-title">This tile</h2>
      </header>
      <fieldset class="choice">
        <legend>Confidence</legend>
        {CONFIDENCES.map((value) => (
          <label key={value}>
            <input
              type="radio"
              name="confidence"
              checked={record.confidence === value}
              onChange={() => work.confidence(value)}
            />
            {value}
          </label>
        ))}
      </fieldset>
      <Comment key={tile.tile} work={work} tile={tile.tile} value={record.comment} />
      <div class="pair">
        <button
          aria-pressed={record.nothing}
          disabled={features.length > 0 && !record.nothing}
          title={features.length ? "There are marks on this tile" : "There is nothing to mark here"}
          onClick={() => work.nothing(!record.nothing)}
        >
          Nothing here
        </button>
        <label class="skip">
          <span class="visually-hidden">Skip this tile</span>
          <select
            value={record.skip_reason ?? ""}
            data-on={record.skip_reason !== null}
            onChange={(event) => work.skip(event.currentTarget.value || null)}
          >
            <option value="">{record.skip_reason === null ? "Skip…" : "Do not skip"}</option>
            {record.skip_reason !== null && !REASONS.includes(record.skip_reason) && (
              <option value={record.skip_reason}>Skipped: {record.skip_reason}</option>
            )}
            {REASONS.map((reason) => (
              <option key={reason} value={reason}>
                {record.skip_reason === reason ? `Skipped: ${reason}` : reason}
              </option>
            ))}
          </select>
        </label>
      </div>
    </section>
  );
}

/** Kept while it is typed, a moment after each pause. What another tab wrote comes in between. */
function Comment({ work, tile, value }: { work: Work; tile: string; value: string }) {
  const [typed, setTyped] = useState<string | null>(null);
  const timer = useRef<number | undefined>(undefined);
  const latest = useRef<string | null>(null);
  const keep = () => {
    clearTimeout(timer.current);
    if (latest.current !== null) work.comment(tile, latest.current);
    latest.current = null;
  };
  useEffect(() => {
    // A page that is hidden may never be shown again.
    addEventListener("pagehide", keep);
    return () => {
      removeEventListener("pagehide", keep);
      keep();
    };
  }, []);
  return (
    <label class="comment">
      Comment
      <textarea
        rows={2}
        maxLength={LONGEST}
        value={typed ?? value}
        onInput={(event) => {
          latest.current = event.currentTarget.value;
          setTyped(latest.current);
          clearTimeout(timer.current);
          timer.current = setTimeout(keep, TYPED_MS);
        }}
        onBlur={() => {
          keep();
          setTyped(null);
        }}
      />
    </label>
  );
}
