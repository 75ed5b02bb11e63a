// Zooming and moving a panel by pointer, wheel, two fingers and keys; all panels follow.
import { useEffect, useRef } from "preact/hooks";

import type { Pointer } from "./pointer";
import { moved, tileSpot, WHOLE, zoomed, type Spot, type View } from "./view";

const STEP = 1.25;
const KEYS: Record<string, (view: View) => View> = {
  "+": (view) => zoomed(view, STEP),
  "=": (view) => zoomed(view, STEP),
  "-": (view) => zoomed(view, 1 / STEP),
  "0": () => WHOLE,
};
const SHIFTED: Record<string, [number, number]> = {
  ArrowLeft: [-0.1, 0],
  ArrowRight: [0.1, 0],
  ArrowUp: [0, -0.1],
  ArrowDown: [0, 0.1],
};

export interface Linked {
  view: View;
  setView: (change: (view: View) => View) => void;
  pointer: Pointer;
}

/** Listens on `surface`. The wheel zooms with Ctrl or ⌘ held: without, it scrolls the page. */
export function useGestures(surface: { current: HTMLElement | null }, linked: Linked): void {
  const latest = useRef(linked);
  latest.current = linked;
  useEffect(() => {
    const element = surface.current!;
    const held = new Map<number, Spot>();
    const stop = new AbortController();
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      listener: (event: HTMLElementEventMap[K]) => void,
    ) => element.addEventListener(name, listener, { signal: stop.signal, passive: false });
    const spotOf = (event: MouseEvent): Spot => {
      const box = element.getBoundingClientRect();
      return {
        right: (event.clientX - box.left) / box.width,
        down: (event.clientY - box.top) / box.height,
      };
    };

    on("wheel", (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      const spot = spotOf(event);
      latest.current.setView((view) => zoomed(view, 2 ** (-event.deltaY / 200), spot));
    });
    on("dblclick", (event) => {
      const spot = spotOf(event);
      latest.current.setView((view) => (view.zoom > 1 ? WHOLE : zoomed(view, 3, spot)));
    });
    on("pointerdown", (event) => {
      if (event.button) return;
      held.set(event.pointerId, spotOf(event));
      if (latest.current.view.zoom > 1 || held.size > 1) element.setPointerCapture(event.pointerId);
    });
    on("pointermove", (event) => {
      const spot = spotOf(event);
      const { view, setView, pointer } = latest.current;
      pointer.set(tileSpot(view, spot));
      if (!event.buttons) held.clear(); // released where this was not told of it
      const before = held.get(event.pointerId);
      if (!before) return;
      held.set(event.pointerId, spot);
      if (held.size === 1) {
        setView((now) => moved(now, before.right - spot.right, before.down - spot.down));
      } else {
        const other = [...held].find(([id]) => id !== event.pointerId)![1];
        const middle = { right: (spot.right + other.right) / 2, down: (spot.down + other.down) / 2 };
        setView((now) => zoomed(now, apart(spot, other) / apart(before, other), middle));
      }
    });
    const release = (event: PointerEvent) => void held.delete(event.pointerId);
    on("pointerup", release);
    on("pointercancel", release);
    on("pointerleave", (event) => {
      if (!held.has(event.pointerId)) latest.current.pointer.set(null);
    });
    on("keydown", (event) => {
      const shift = event.shiftKey ? SHIFTED[event.key] : undefined;
      const change = shift ? (view: View) => moved(view, ...shift) : KEYS[event.key];
      if (!change || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      event.stopPropagation();
      latest.current.setView(change);
    });
    return () => stop.abort();
  }, []);
}

function apart(one: Spot, other: Spot): number {
  return Math.max(0.01, Math.hypot(one.right - other.right, one.down - other.down));
}
