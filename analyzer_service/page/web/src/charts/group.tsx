// A group of charts that can be folded away; folded, it draws nothing and asks for nothing.
import type { ComponentChildren } from "preact";

import type { Controls } from "./settings";

interface GroupProps {
  id: string;
  title: string;
  size: number;
  controls: Controls;
  children: ComponentChildren;
}

export function ChartGroup({ id, title, size, controls, children }: GroupProps) {
  const { folded, filter } = controls.settings;
  const open = filter !== "" || !folded.includes(id);
  const fold = () =>
    controls.change({ folded: open ? [...folded, id] : folded.filter((each) => each !== id) });
  return (
    <section class="group" aria-label={title}>
      <h2>
        <button class="quiet" aria-expanded={open} disabled={filter !== ""} onClick={fold}>
          <span aria-hidden="true">{open ? "▾" : "▸"}</span> {title} <small>{size}</small>
        </button>
      </h2>
      {open && <div class="grid">{children}</div>}
    </section>
  );
}
