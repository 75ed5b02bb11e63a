// How maps are shown: colors, scale, opacity, and where the view is.
import type { ComponentChildren } from "preact";

import { COLOR_NAMES, type ColorName } from "./colors";
import type { Linked } from "./gestures";
import type { Look, ScaleName } from "./look";
import { WHOLE, zoomed } from "./view";

const SCALES: Record<ScaleName, string> = {
  share: "Shares, 0–4×",
  fixed: "Fixed, 0–1",
  tile: "Tile, 1–99 %",
};

interface Props {
  look: Look;
  change: (part: Partial<Look>) => void;
  linked: Linked;
  /** Whether nuclei can be outlined here. */
  nuclei: boolean;
  children?: ComponentChildren;
}

export function LookControls({ look, change, linked, nuclei, children }: Props) {
  return (
    <section class="look" aria-label="How maps are shown">
      {children}
      <label>
        Opacity
        <input
          type="range"
          min={0}
          max={100}
          value={Math.round(100 * look.opacity)}
          onInput={(event) => change({ opacity: Number(event.currentTarget.value) / 100 })}
        />
        <output>{Math.round(100 * look.opacity)} %</output>
      </label>
      <Check
        name="Map alone"
        on={look.opacity === 1}
        set={(alone) => change({ opacity: alone ? 1 : 0.6 })}
      />
      <Choice
        name="Colors"
        value={look.colors}
        options={COLOR_NAMES}
        choose={(colors: ColorName) => change({ colors })}
      />
      <Choice
        name="Scale"
        value={look.scale}
        options={SCALES}
        choose={(scale: ScaleName) => change({ scale })}
      />
      <Check name="Smooth" on={look.smooth} set={(smooth) => change({ smooth })} />
      <Check name="Gray tissue" on={look.gray} set={(gray) => change({ gray })} />
      {nuclei && <Check name="Nuclei" on={look.nuclei} set={(outlined) => change({ nuclei: outlined })} />}
      <span class="group" role="group" aria-label="Zoom">
        <button class="sign" aria-label="Zoom out" title="Zoom out (−)" onClick={() => linked.setView((view) => zoomed(view, 1 / 1.5))}>
          −
        </button>
        <button title="Show the whole tile (0)" onClick={() => linked.setView(() => WHOLE)}>
          <span class="visually-hidden">Whole tile, now </span>
          {linked.view.zoom.toFixed(1)}×
        </button>
        <button class="sign" aria-label="Zoom in" title="Zoom in (+)" onClick={() => linked.setView((view) => zoomed(view, 1.5))}>
          +
        </button>
      </span>
    </section>
  );
}

function Choice<Name extends string>({
  name,
  value,
  options,
  choose,
}: {
  name: string;
  value: Name;
  options: Record<Name, string>;
  choose: (value: Name) => void;
}) {
  return (
    <label class={name.toLowerCase()}>
      {name}
      <select value={value} onChange={(event) => choose(event.currentTarget.value as Name)}>
        {(Object.entries(options) as [Name, string][]).map(([option, title]) => (
          <option key={option} value={option}>
            {title}
          </option>
        ))}
      </select>
    </label>
  );
}

function Check({ name, on, set }: { name: string; on: boolean; set: (on: boolean) => void }) {
  return (
    <label>
      <input type="checkbox" checked={on} onChange={(event) => set(event.currentTarget.checked)} />
      {name}
    </label>
  );
}
