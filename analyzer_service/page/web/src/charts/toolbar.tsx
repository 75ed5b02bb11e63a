// What holds for all charts: which are shown, how they are drawn, and where they are zoomed to.
import { useEffect, useState } from "preact/hooks";

import { count, grouped } from "../base/format";
import { PHASE_NAMES, type Phase } from "./catalog";
import { Key } from "./legend";
import { soon } from "./reading";
import type { Controls } from "./settings";

interface ToolbarProps {
  controls: Controls;
  /** What is wrong with the search, if anything. */
  invalid: string | null;
  found: number;
  /** How the phases are drawn here. */
  keys: Record<Phase, { color: string; dash: number[] }>;
}

export function Toolbar({ controls, invalid, found, keys }: ToolbarProps) {
  const { settings, change } = controls;
  return (
    <div class="toolbar" role="toolbar" aria-label="Charts">
      <label class="search">
        <span class="visually-hidden">Search metrics (regular expression)</span>
        <input
          type="search"
          placeholder="entropy|ssim"
          value={settings.filter}
          aria-invalid={invalid !== null}
          aria-describedby="search-says"
          onInput={(event) => change({ filter: event.currentTarget.value })}
        />
        <small id="search-says" role="status" class={invalid ? "wrong" : ""}>
          {invalid ? `Not a regular expression: ${invalid}` : settings.filter ? count(found, "chart") : ""}
        </small>
      </label>
      <label class="slider" title="Exponential moving average along the steps; the values stay behind, faint">
        Smoothing
        <input
          type="range"
          min="0"
          max="0.99"
          step="0.01"
          value={settings.smoothing}
          onInput={(event) => change({ smoothing: Number(event.currentTarget.value) })}
        />
        <output>{settings.smoothing.toFixed(2)}</output>
      </label>
      <span class="switches">
        {(["train", "val"] as const).map((phase) => (
          <button
            key={phase}
            class="phase"
            aria-pressed={settings[phase]}
            onClick={() => change({ [phase]: !settings[phase] })}
          >
            <Key curve={keys[phase]} /> {PHASE_NAMES[phase]}
          </button>
        ))}
        <button aria-pressed={settings.log} onClick={() => change({ log: !settings.log })}>
          Log
        </button>
        <button
          aria-pressed={settings.clip}
          title="The value axis shows the middle 96 % of the points"
          onClick={() => change({ clip: !settings.clip })}
        >
          Clip outliers
        </button>
      </span>
      <Zoom controls={controls} />
    </div>
  );
}

function Zoom({ controls: { view } }: { controls: Controls }) {
  const [range, setRange] = useState(view.range);
  useEffect(() => view.onChange(() => soon(view, () => setRange(view.range))), [view]);
  const words = range
    ? `steps ${grouped(Math.round(range.from))} to ${grouped(Math.round(range.to))}`
    : "all steps";
  return (
    <span class="zoom">
      <button aria-label="Earlier" disabled={!range} onClick={() => view.pan(-0.5)}>
        ←
      </button>
      <button aria-label="Zoom out" disabled={!range} onClick={() => view.zoom(2)}>
        −
      </button>
      <button aria-label="Zoom in" onClick={() => view.zoom(0.5)}>
        +
      </button>
      <button aria-label="Later" disabled={!range} onClick={() => view.pan(0.5)}>
        →
      </button>
      <button disabled={!range} onClick={() => view.set(null)}>
        Show all
      </button>
      <small role="status">{words}</small>
    </span>
  );
}
