// The first line: all is well, or what is not.
import { count } from "../../base/format";
import type { Finding, Health } from "./facts";

export function Verdict({ health }: { health: Health }) {
  const { findings } = health;
  if (findings.length === 0) {
    return (
      <section class="verdict well" aria-live="polite">
        <h2>All is well</h2>
        <p>{wellIn(health)}</p>
      </section>
    );
  }
  const bad = findings.some((finding) => finding.level === "bad");
  return (
    <section class={`verdict ${bad ? "bad" : "warn"}`} aria-live="polite">
      <h2>
        {findings.length === 1
          ? findings[0]!.what
          : `${count(findings.length, "thing")} ${bad ? "are wrong or need" : "need"} a look`}
      </h2>
      {findings.length === 1 ? (
        <p>
          <Words text={findings[0]!.todo} />
        </p>
      ) : (
        <ul>
          {findings.map((finding) => (
            <Said key={finding.what} finding={finding} />
          ))}
        </ul>
      )}
    </section>
  );
}

function Said({ finding }: { finding: Finding }) {
  return (
    <li class={finding.level}>
      <strong>{finding.what}</strong>
      <p>
        <Words text={finding.todo} />
      </p>
    </li>
  );
}

/** A sentence in which commands stand between backticks. */
function Words({ text }: { text: string }) {
  return <>{text.split("`").map((part, place) => (place % 2 ? <code key={place}>{part}</code> : part))}</>;
}

function wellIn({ status, live, frames, records }: Health): string {
  const dropped = frames.reduce((sum, each) => sum + each.dropped, 0);
  const kept = records.reduce((sum, each) => sum + each.committed, 0);
  const accounted =
    `${count(kept, "record")} kept and none lost; ` +
    (dropped ? `${count(dropped, "frame")} dropped, each with its reason.` : "no frame dropped.");
  if (status === "finished") return `The run finished: ${accounted}`;
  const heard = live ? "The trainer is heard, results are written, nothing falls behind: " : "";
  return heard + accounted;
}
