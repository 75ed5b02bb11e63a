// Whether everything is saved, and what to do where it is not.
import type { Session } from "../state/session";
import { useSignals } from "../state/signal";
import { count } from "../../base/format";

export function SavingState({ session }: { session: Session }) {
  useSignals(session.changes);
  const { state, unsent, lost, reason } = session.outbox.saving;
  if (lost) {
    return (
      <span class="saving bad" role="alert">
        <span>
          Not kept: this browser has no room left. Leave the page open until it says “Saved”.
        </span>
      </span>
    );
  }
  const words = {
    saved: "Saved",
    saving: "Saving…",
    waiting: `Not saved: ${reason}; kept in this browser`,
  }[state];
  return (
    <span class="row">
      <span class="saving" data-state={state} role="status" title={words}>
        <span>{words}</span>
      </span>
      {state === "waiting" && (
        <button class="small" onClick={() => session.outbox.wake()} title={count(unsent, "change")}>
          Try now
        </button>
      )}
    </span>
  );
}

/** What the server did not take: in its words, to be tried again or thrown away. */
export function Refusals({ session }: { session: Session }) {
  useSignals(session.changes);
  const { refused } = session.outbox.saving;
  if (!refused.length) return null;
  return (
    <div class="refusals" role="alert">
      {refused.map(({ key, tile, refused: why }) => {
        const id = session.overview?.tiles.find((each) => each.tile === tile)?.id ?? tile;
        return (
          <p key={key}>
            <span>
              A change of {id} was refused: {why}
            </span>
            <button class="small" onClick={() => session.outbox.tryAgain(key)}>
              Try again
            </button>
            <button class="small" onClick={() => session.discard(key)}>
              Discard it
            </button>
          </p>
        );
      })}
    </div>
  );
}
