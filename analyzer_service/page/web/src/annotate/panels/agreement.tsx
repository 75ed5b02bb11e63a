// How well attention follows the marks, and readers each other; anew after each saved change.
import { useEffect, useState } from "preact/hooks";

import { number } from "../../base/format";
import { useSignals } from "../state/signal";
import type { Agreement as Numbers, Overlap } from "../state/types";
import type { Bench } from "../state/bench";
import type { Session } from "../state/session";

const QUIET_MS = 300;
const NUMBERS: [keyof Overlap, string, string][] = [
  ["iou", "IoU", "Intersection over union"],
  ["dice", "Dice", "Dice coefficient"],
  ["precision", "Prec.", "Precision"],
  ["recall", "Rec.", "Recall"],
  ["f1", "F1", "F1 score"],
];

export function Agreement({ bench }: { bench: Bench }) {
  const { session, others } = bench;
  useSignals(session.changes, others.changes);
  const attentionSeen = session.attentionOnRecord;
  const { numbers, failure } = useAgreement(session, attentionSeen, others.visible);
  const [gate, setGate] = useState<"area_matched" | "half_maximum">("area_matched");
  if (!session.marks) return null;
  return (
    <section class="panel" aria-labelledby="agreement-title">
      <header>
        <h2 id="agreement-title">Agreement</h2>
      </header>
      {!attentionSeen && (
        <p class="soft">
          Attention against your marks stays hidden until attention was shown on this tile, so that
          the numbers do not lead your hand.
        </p>
      )}
      {failure && <p class="fault">{failure}</p>}
      {attentionSeen && numbers?.attention && (
        <>
          <label class="gate">
            Attention counts where it is
            <select
              value={gate}
              onChange={(event) => setGate(event.currentTarget.value as typeof gate)}
            >
              <option value="area_matched">highest, over the marks’ area</option>
              <option value="half_maximum">above half its maximum</option>
            </select>
          </label>
          <Table
            parts={grouped(
              numbers.attention,
              (row) => row.layer,
              (row) => row[gate],
            )}
            empty="Draw an area to see numbers."
          />
        </>
      )}
      {others.visible && numbers?.readers && (
        <Table
          parts={grouped(
            ownFirst(numbers.readers, session.server.reader),
            (row) => row.between.join(" – "),
            (row) => row,
          )}
          empty="No other reader’s areas to compare with."
        />
      )}
    </section>
  );
}

/** What concerns the reader comes before what others have among each other. */
function ownFirst<Row extends { between: [string, string] }>(rows: readonly Row[], own: string) {
  const mine = (row: Row) => Number(row.between.includes(own));
  return rows.toSorted((one, other) => mine(other) - mine(one));
}

/** Rows of a layer, or of two readers: a class each. */
type Parts = Map<string, { label: string; overlap: Overlap }[]>;

function grouped<Row extends { label: string }>(
  rows: readonly Row[],
  partOf: (row: Row) => string,
  overlapOf: (row: Row) => Overlap,
): Parts {
  const parts: Parts = new Map();
  for (const row of rows) {
    const part = partOf(row);
    parts.set(part, [...(parts.get(part) ?? []), { label: row.label, overlap: overlapOf(row) }]);
  }
  return parts;
}

function Table({ parts, empty }: { parts: Parts; empty: string }) {
  if (!parts.size) return <p class="soft">{empty}</p>;
  return (
    <table class="agreement">
      <thead>
        <tr>
          <th>
            <span class="visually-hidden">Class</span>
          </th>
          {NUMBERS.map(([key, short, long]) => (
            <th key={key} class="number">
              <abbr title={long}>{short}</abbr>
            </th>
          ))}
        </tr>
      </thead>
      {[...parts].map(([part, rows]) => (
        <tbody key={part}>
          <tr>
            <th scope="rowgroup" colSpan={NUMBERS.length + 1}>
              {part}
            </th>
          </tr>
          {rows.map(({ label, overlap }) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              {NUMBERS.map(([key]) => (
                <td key={key} class="number">
                  {share(overlap[key])}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      ))}
    </table>
  );
}

/** Two digits are what a mark drawn by hand bears. */
function share(value: number | null): string {
  return value === null ? number(null) : value.toFixed(2);
}

/** What the server counts, asked again a moment after its state of the tile has changed. */
function useAgreement(session: Session, attentionSeen: boolean, others: boolean) {
  const tile = session.tile?.tile;
  const [numbers, setNumbers] = useState<Numbers | null>(null);
  const [failure, setFailure] = useState<string | null>(null);
  useEffect(() => {
    setNumbers(null);
    setFailure(null);
    if (tile === undefined || !(attentionSeen || others)) return;
    let stop = new AbortController();
    let timer: number | undefined;
    const ask = async () => {
      stop.abort();
      stop = new AbortController();
      const { signal } = stop;
      try {
        const found = await session.server.agreement(tile, others, signal);
        if (signal.aborted) return;
        setNumbers(found);
        setFailure(null);
      } catch (error) {
        if (!signal.aborted) setFailure(error instanceof Error ? error.message : String(error));
      }
    };
    const soon = () => {
      clearTimeout(timer);
      timer = setTimeout(() => void ask(), QUIET_MS);
    };
    void ask();
    const silence = session.settled.listen(soon);
    return () => {
      silence();
      clearTimeout(timer);
      stop.abort();
    };
  }, [session, tile, attentionSeen, others]);
  return { numbers, failure };
}
