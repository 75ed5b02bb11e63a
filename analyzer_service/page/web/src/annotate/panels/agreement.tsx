// How well attention follows the marks, and readers each other; anew after each saved change.
import { useEffect, useState } from "preact/hooks";

import { number } from "../../base/format";
import { useSignals } from "../state/signal";
import type { Agreement as Numbers, Overlap } from "../state/types";
import type { Work } from "../state/work";

const QUIET_MS = 300;
const NUMBERS: [keyof Overlap, string][] = [
  ["iou", "IoU"],
  ["dice", "Dice"],
  ["precision", "Precision"],
  ["recall", "Recall"],
  ["f1", "F1"],
];

export function Agreement({ work, othersVisible }: { work: Work; othersVisible: boolean }) {
  const { session } = work;
  useSignals(session.changes);
  const attentionSeen = session.attentionOnRecord;
  const { numbers, failure } = useAgreement(work, attentionSeen, othersVisible);
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
            <select value={gate} onChange={(event) => setGate(event.currentTarget.value as typeof gate)}>
              <option value="area_matched">highest, over the marks’ area</option>
              <option value="half_maximum">above half its maximum</option>
            </select>
          </label>
          <Table
            first={["Layer", "Class"]}
            rows={numbers.attention.map((row) => ({ names: [row.layer, row.label], overlap: row[gate] }))}
            empty="Draw an area to see numbers."
          />
        </>
      )}
      {othersVisible && numbers?.readers && (
        <Table
          first={["Readers", "Class"]}
          rows={numbers.readers.map((row) => ({ names: [row.between.join(" – "), row.label], overlap: row }))}
          empty="No other reader’s areas to compare with."
        />
      )}
    </section>
  );
}

interface TableProps {
  first: [string, string];
  rows: { names: [string, string]; overlap: Overlap }[];
  empty: string;
}

function Table({ first, rows, empty }: TableProps) {
  if (!rows.length) return <p class="soft">{empty}</p>;
  return (
    <div class="scrolled">
      <table class="agreement">
        <thead>
          <tr>
            {first.map((name) => (
              <th key={name}>{name}</th>
            ))}
            {NUMBERS.map(([, name]) => (
              <th key={name} class="number">
                {name}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(({ names, overlap }) => (
            <tr key={names.join("\n")}>
              <th scope="row">{names[0]}</th>
              <td>{names[1]}</td>
              {NUMBERS.map(([key]) => (
                <td key={key} class="number">
                  {number(overlap[key], 3)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** What the server counts, asked again a moment after its state of the tile has changed. */
function useAgreement(work: Work, attentionSeen: boolean, others: boolean) {
  const { session } = work;
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
