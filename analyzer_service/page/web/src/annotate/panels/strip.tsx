// The tiles to be read, with what was done of each.
import type { TargetedKeyboardEvent } from "preact";
import { useEffect, useRef } from "preact/hooks";

import { count } from "../../base/format";
import type { Bench } from "../state/bench";
import type { Session } from "../state/session";
import { useSignals } from "../state/signal";
import type { Filter } from "../state/tour";
import type { Status, TileFacts } from "../state/types";
import { Icon } from "./icons";

const STATUSES: Record<Status, string> = {
  open: "open",
  marked: "marked",
  nothing: "nothing there",
  skipped: "skipped",
};

export function Strip({ bench }: { bench: Bench }) {
  const { session, tour } = bench;
  useSignals(session.changes, tour.changes);
  const { tiles, done, filter, listed } = tour;
  const entry = (listed.find(({ tile }) => tile === session.tile?.tile) ?? listed[0])?.tile;
  return (
    <nav class="strip" aria-label="Tiles">
      <div class="strip-head">
        <div class="row">
          <span id="tiles-done">
            {done} of {tiles.length} done
          </span>
          <button
            class="small"
            onClick={() => tour.nextOpen()}
            title="Next open tile (Shift+N)"
            disabled={done === tiles.length}
          >
            Next open
          </button>
        </div>
        <progress aria-labelledby="tiles-done" value={done} max={tiles.length || 1} />
        <select
          aria-label="Tiles to show"
          value={filter}
          onChange={(event) => tour.list(event.currentTarget.value as Filter)}
        >
          <option value="all">All tiles</option>
          {Object.entries(STATUSES).map(([status, words]) => (
            <option key={status} value={status}>
              {words[0]!.toUpperCase() + words.slice(1)}
            </option>
          ))}
        </select>
      </div>
      <ol onKeyDown={toNeighbor}>
        {listed.map((tile) => (
          <TileItem
            key={tile.tile}
            number={tiles.indexOf(tile) + 1}
            tile={tile}
            session={session}
            reached={tile.tile === entry}
            open={() => tour.open(tile)}
          />
        ))}
        {listed.length === 0 && filter !== "all" && (
          <li class="none">No tile is {STATUSES[filter]}.</li>
        )}
      </ol>
    </nav>
  );
}

interface ItemProps {
  number: number;
  tile: TileFacts;
  session: Session;
  /** Whether the Tab key comes here; it comes to one tile, arrow keys lead on from it. */
  reached: boolean;
  open: () => void;
}

/** ↓ and ↑ go from tile to tile: there may be hundreds between the tools and the tile. */
function toNeighbor(event: TargetedKeyboardEvent<HTMLOListElement>): void {
  const steps = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!steps || !(event.target instanceof HTMLButtonElement)) return;
  const buttons = [...event.currentTarget.querySelectorAll("button")];
  const next = buttons[buttons.indexOf(event.target) + steps];
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function TileItem({ number, tile, session, reached, open }: ItemProps) {
  const current = session.tile?.tile === tile.tile;
  const { status, regions } = session.status(tile);
  const element = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (current) element.current?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [current]);
  const words = status === "marked" ? count(regions, "mark") : STATUSES[status];
  return (
    <li>
      <button
        ref={element}
        class="tile"
        data-status={status}
        aria-current={current ? "true" : undefined}
        onClick={open}
        title={tile.id}
        tabIndex={reached ? 0 : -1}
      >
        <img
          src={session.server.imageUrl(tile.tile)}
          alt=""
          loading="lazy"
          width="56"
          height="56"
        />
        <span class="facts">
          <strong>{number}</strong>
          <span class="status">
            <Icon name={status} />
            {words}
          </span>
        </span>
      </button>
    </li>
  );
}
