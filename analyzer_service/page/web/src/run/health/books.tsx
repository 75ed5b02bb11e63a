// The books: what became of every frame and record, and what went wrong and was contained.
import { count, number } from "../../base/format";
import type { Failure, FrameBooks, RecordBooks } from "./facts";

export function FrameTable({ books }: { books: FrameBooks[] }) {
  if (books.length === 0) return null;
  return (
    <section aria-labelledby="frames-of">
      <h2 id="frames-of">Frames</h2>
      <p class="means">
        Offered by the trainer = delivered and analyzed + dropped, each with a reason + pending.
      </p>
      <div class="scrolled">
        <table>
          <thead>
            <tr>
              <th>Stream</th>
              <th class="number">Offered</th>
              <th class="number">Delivered</th>
              <th class="number">Dropped</th>
              <th class="number">Pending</th>
              <th>Balance</th>
              <th>Why they were dropped</th>
            </tr>
          </thead>
          <tbody>
            {books.map((of) => (
              <tr key={`${of.producer}/${of.stream}`}>
                <th scope="row">
                  {of.producer}/{of.stream}
                </th>
                <td class="number">{number(of.offered)}</td>
                <td class="number">{number(of.delivered)}</td>
                <td class="number">{number(of.dropped)}</td>
                <td class="number">{number(of.pending)}</td>
                <td>
                  <Balance of={of.balances} />
                </td>
                <td class="reasons">
                  {of.drops.map(({ reason, words, frames }) => (
                    <span key={reason} title={reason}>
                      {number(frames)}: {words}
                    </span>
                  ))}
                  {of.drops.length === 0 && "–"}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

export function RecordTable({ books }: { books: RecordBooks[] }) {
  return (
    <section aria-labelledby="records-of">
      <h2 id="records-of">Records</h2>
      <p class="means">
        Handed over = committed + lost + missing. The trainer says how many it handed over as it
        ends.
      </p>
      <div class="scrolled">
        <table>
          <thead>
            <tr>
              <th>Producer</th>
              <th class="number">Handed over</th>
              <th class="number">Committed</th>
              <th class="number">Lost</th>
              <th class="number">Missing</th>
              <th>Balance</th>
            </tr>
          </thead>
          <tbody>
            {books.map((of) => (
              <tr key={of.name}>
                <th scope="row">{of.name}</th>
                <td class="number">{number(of.handed_over)}</td>
                <td class="number">{number(of.committed)}</td>
                <td class="number">{number(of.lost)}</td>
                <td class="number">{number(of.missing)}</td>
                <td>{of.balances === null ? "not said yet" : <Balance of={of.balances} />}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Balance({ of }: { of: boolean }) {
  return <span class={of ? "balanced" : "unbalanced"}>{of ? "✓ balanced" : "✗ not balanced"}</span>;
}

export function FailureTable({ failures }: { failures: Failure[] }) {
  return (
    <section aria-labelledby="contained">
      <h2 id="contained">Contained failures</h2>
      {failures.length === 0 ? (
        <p class="means">None.</p>
      ) : (
        <ul class="failures">
          {failures.map(({ kind, words, error, count: many, last }) => (
            <li key={kind} class={error ? "bad" : "warn"}>
              <strong>{count(many, "time", "times")}</strong>: {words}
              <code>{last}</code>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
