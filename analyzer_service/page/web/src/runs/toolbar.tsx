// Search, filters, and what is done with the runs that were picked.
import { useEffect, useRef } from "preact/hooks";

import { COLUMNS, STATUSES, type Choice, type Column, type Shelf } from "./choosing";
import type { Run } from "./listing";

interface Props {
  runs: Run[];
  tags: string[];
  choice: Choice;
  change: (part: Partial<Choice>) => void;
  picked: ReadonlySet<string>;
  unpick: () => void;
}

export function Toolbar({ runs, tags, choice, change, picked, unpick }: Props) {
  return (
    <div class="toolbar" role="search">
      <Search text={choice.text} change={change} />
      <States runs={runs} choice={choice} change={change} />
      {tags.length > 0 && (
        <label>
          <span class="visually-hidden">Tag</span>
          <select value={choice.tag} onChange={(event) => change({ tag: event.currentTarget.value })}>
            <option value="">Any tag</option>
            {tags.map((tag) => (
              <option key={tag} value={tag}>
                {tag}
              </option>
            ))}
          </select>
        </label>
      )}
      <Shelves runs={runs} choice={choice} change={change} />
      <Sorting choice={choice} change={change} />
      <span class="grow" />
      <Compare picked={picked} unpick={unpick} />
    </div>
  );
}

function Search({ text, change }: { text: string; change: Props["change"] }) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = event.target instanceof Element && event.target.closest("input, textarea, select");
      if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
        event.preventDefault();
        input.current?.focus();
      }
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <input
      ref={input}
      type="search"
      value={text}
      placeholder="Search runs  ( / )"
      aria-label="Search runs by name, tag, note or project"
      onInput={(event) => change({ text: event.currentTarget.value })}
    />
  );
}

function States({ runs, choice, change }: Pick<Props, "runs" | "choice" | "change">) {
  const counts = STATUSES.map((status) => ({
    status,
    many: runs.filter((run) => run.status === status).length,
  })).filter(({ status, many }) => many > 0 || choice.status === status);
  if (counts.length < 2 && !choice.status) return null;
  return (
    <div class="states" role="group" aria-label="State">
      <button aria-pressed={!choice.status} onClick={() => change({ status: "" })}>
        All
      </button>
      {counts.map(({ status, many }) => (
        <button
          key={status}
          aria-pressed={choice.status === status}
          onClick={() => change({ status: choice.status === status ? "" : status })}
        >
          {status} <span class="many">{many}</span>
        </button>
      ))}
    </div>
  );
}

function Shelves({ runs, choice, change }: Pick<Props, "runs" | "choice" | "change">) {
  const archived = runs.filter((run) => run.archived).length;
  if (archived === 0 && choice.shelf === "current") return null;
  return (
    <label>
      <span class="visually-hidden">Archive</span>
      <select
        value={choice.shelf}
        onChange={(event) => change({ shelf: event.currentTarget.value as Shelf })}
      >
        <option value="current">Not archived</option>
        <option value="archived">Archived ({archived})</option>
        <option value="all">All runs</option>
      </select>
    </label>
  );
}

/** Where runs are cards, there is no head of a table to sort by. */
function Sorting({ choice, change }: Pick<Props, "choice" | "change">) {
  return (
    <span class="sorting">
      <label>
        Sort by{" "}
        <select
          value={choice.column}
          onChange={(event) => change({ column: event.currentTarget.value as Column })}
        >
          {COLUMNS.map(({ column, title }) => (
            <option key={column} value={column}>
              {title}
            </option>
          ))}
        </select>
      </label>
      <button
        onClick={() => change({ descending: !choice.descending })}
        aria-label={choice.descending ? "Sorted down; sort up" : "Sorted up; sort down"}
      >
        {choice.descending ? "↓" : "↑"}
      </button>
    </span>
  );
}

function Compare({ picked, unpick }: Pick<Props, "picked" | "unpick">) {
  if (picked.size === 0) return <small class="hint">Tick two or more to compare</small>;
  const go = () => {
    const query = new URLSearchParams([...picked].map((run) => ["run", run]));
    location.assign(`/compare?${query}`);
  };
  return (
    <span class="picked">
      <button class="quiet" onClick={unpick}>
        Clear
      </button>
      <button class="primary" disabled={picked.size < 2} onClick={go}>
        Compare {picked.size} {picked.size === 1 ? "run" : "runs"}
      </button>
    </span>
  );
}
