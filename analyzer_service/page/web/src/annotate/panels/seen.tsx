// Blind until asked: attention and others' marks, and that they were shown.
import { number } from "../../base/format";
import { COLOR_MAPS, gradient, type Scale } from "../canvas/coloring";
import type { Attention } from "../state/attention";
import { useSignals } from "../state/signal";
import type { OtherMarks } from "../state/types";
import type { Bench } from "../state/bench";

export function Seen({ bench }: { bench: Bench }) {
  const { session, attention, others } = bench;
  useSignals(session.changes, attention.changes, others.changes);
  const record = session.marks?.record;
  if (!record) return null;
  return (
    <section class="panel" aria-labelledby="seen-title">
      <header>
        <h2 id="seen-title">Hidden until you ask</h2>
      </header>
      <div class="pair">
        <button aria-pressed={attention.visible} onClick={() => bench.toggleAttention()}>
          {attention.visible ? "Hide attention" : "Attention"}
        </button>
        <button aria-pressed={others.visible} onClick={() => bench.toggleOthers()}>
          {others.visible ? "Hide others’" : "Others’ marks"}
        </button>
      </div>
      {attention.failure && <p class="fault">{attention.failure}</p>}
      {attention.visible && <AttentionChoices attention={attention} />}
      {others.visible && <OtherReaders others={session.others ?? []} />}
    </section>
  );
}

function AttentionChoices({ attention }: { attention: Attention }) {
  const { map, range } = attention;
  if (!map) return null;
  return (
    <div class="choices">
      <label>
        Layer
        <select
          value={map.layer.name}
          onChange={(event) => attention.choose({ layer: event.currentTarget.value })}
        >
          {attention.maps.map(({ layer }) => (
            <option key={layer.name} value={layer.name}>
              {layer.name}
            </option>
          ))}
        </select>
      </label>
      <label>
        Colors
        <select
          value={attention.colors}
          onChange={(event) => attention.choose({ colors: event.currentTarget.value })}
        >
          {COLOR_MAPS.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
      <label>
        Scale
        <select
          value={attention.scale}
          onChange={(event) => attention.choose({ scale: event.currentTarget.value as Scale })}
        >
          <option value="tile">this tile’s</option>
          <option value="fixed">0 to 1</option>
        </select>
      </label>
      <label>
        Opacity
        <input
          type="range"
          min="0"
          max="1"
          step="0.05"
          value={attention.opacity}
          onInput={(event) => attention.choose({ opacity: event.currentTarget.valueAsNumber })}
        />
      </label>
      <div class="legend" aria-label="Scale of attention">
        <span>{number(range[0], 3)}</span>
        <span class="ramp" style={{ background: gradient(attention.colors) }} />
        <span>{number(range[1], 3)}</span>
      </div>
    </div>
  );
}

function OtherReaders({ others }: { others: OtherMarks[] }) {
  if (!others.length) return <p class="soft">No other reader has marked this tile yet.</p>;
  return (
    <ul class="others">
      {others.map(({ reader, features, record }) => (
        <li key={reader}>
          <strong>{reader}</strong>: {features.length} {features.length === 1 ? "mark" : "marks"}
          {record.nothing && ", nothing to mark"}
          {record.skip_reason !== null && `, skipped: ${record.skip_reason}`}
          {record.confidence && `, confidence ${record.confidence}`}
          {record.comment && <q>{record.comment}</q>}
        </li>
      ))}
    </ul>
  );
}
