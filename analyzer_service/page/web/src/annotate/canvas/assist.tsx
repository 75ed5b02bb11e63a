// One line below the tile: what the tool does now, what was just done, and what a tool offers.
import { useSignals } from "../state/signal";
import type { Work } from "../state/work";
import type { Tools } from "./tools";

export function Assist({ work, tools }: { work: Work; tools: () => Tools | undefined }) {
  const { desk, session } = work;
  useSignals(desk.changes, session.changes);
  const combining = desk.tool === "union" || desk.tool === "subtract";
  return (
    <div class="assist">
      {desk.tool === "polygon" && (
        <span class="row touch-only">
          <button onClick={() => tools()?.finish()}>Finish</button>
          <button onClick={() => tools()?.back()}>Back a corner</button>
          <button onClick={() => tools()?.cancel()}>Give up</button>
        </span>
      )}
      {combining && (
        <span class="row" role="group" aria-label="Draw by">
          {(["freehand", "polygon"] as const).map((way) => (
            <button key={way} aria-pressed={desk.drawsBy === way} onClick={() => desk.drawBy(way)}>
              {way === "freehand" ? "Freehand" : "Polygon"}
            </button>
          ))}
        </span>
      )}
      {desk.tool === "edit" && (
        <button aria-pressed={desk.removing} onClick={() => desk.remove(!desk.removing)}>
          Remove corners
        </button>
      )}
      <span class="hint">{work.hint}</span>
      <span class="said-last" role="status">
        <span key={desk.said.at}>{desk.said.text}</span>
      </span>
    </div>
  );
}
