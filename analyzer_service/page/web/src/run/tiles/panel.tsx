// One picture of the tile: a canvas that is zoomed with all others, its title, its values.
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

import { useGestures, type Linked } from "./gestures";
import { useSpot, type Pointer } from "./pointer";
import { panelSpot, type Spot, type View } from "./view";

export type Paint = (context: CanvasRenderingContext2D, view: View) => void;

export interface PanelProps {
  title: ComponentChildren;
  /** What the picture shows, for who cannot see it. */
  label: string;
  /** What must be known before the colors are believed. */
  remark?: string;
  /** Height over width. */
  aspect: number;
  paint: Paint;
  linked: Linked;
  /** The value at a place of the tile, for the pointer. */
  read?: (spot: Spot) => string;
  /** What stands there while no pointer is on a panel. */
  fact?: string;
  children?: ComponentChildren;
}

export function Panel(props: PanelProps) {
  const { title, label, remark, aspect, paint, linked, read, fact, children } = props;
  return (
    <figure class="panel">
      <figcaption>
        <strong>{title}</strong>
        <Value pointer={linked.pointer} read={read} fact={fact} />
      </figcaption>
      <Canvas label={label} aspect={aspect} paint={paint} linked={linked}>
        {remark && <span class="remark">{remark}</span>}
      </Canvas>
      {children}
    </figure>
  );
}

interface CanvasProps {
  /** Whether it is zoomed and moved by keys: a stop of the Tab key. */
  keys?: boolean;
  label: string;
  aspect: number;
  paint: Paint;
  linked: Linked;
  children?: ComponentChildren;
}

export function Canvas({ label, aspect, paint, linked, keys = true, children }: CanvasProps) {
  const surface = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const size = useSize(surface, aspect);
  useGestures(surface, linked);
  useLayoutEffect(() => {
    if (!size || !canvas.current) return;
    const context = canvas.current.getContext("2d")!;
    if (canvas.current.width !== size.width) canvas.current.width = size.width;
    if (canvas.current.height !== size.height) canvas.current.height = size.height;
    context.clearRect(0, 0, size.width, size.height);
    paint(context, linked.view);
  }, [size, paint, linked.view]);
  return (
    <div
      class={linked.view.zoom > 1 ? "surface zoomed" : "surface"}
      ref={surface}
      style={{ aspectRatio: `${1 / aspect}` }}
    >
      <canvas ref={canvas} role="img" aria-label={label} tabIndex={keys ? 0 : -1} />
      <Mark pointer={linked.pointer} view={linked.view} />
      {children}
    </div>
  );
}

function Value({
  pointer,
  read,
  fact,
}: {
  pointer: Pointer;
  read: PanelProps["read"];
  fact: string | undefined;
}) {
  const spot = useSpot(pointer);
  return <span class="value">{spot && read ? read(spot) : fact}</span>;
}

/** Where the pointer is, on every panel. */
function Mark({ pointer, view }: { pointer: Pointer; view: View }) {
  const spot = useSpot(pointer);
  if (!spot) return null;
  const { right, down } = panelSpot(view, spot);
  if (right < 0 || right > 1 || down < 0 || down > 1) return null;
  return <span class="mark" style={{ left: `${100 * right}%`, top: `${100 * down}%` }} />;
}

/** Pixels of the screen that an element has, kept up with. */
function useSize(
  surface: { current: HTMLElement | null },
  aspect: number,
): { width: number; height: number } | null {
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  useEffect(() => {
    const element = surface.current!;
    const measure = () => {
      if (!element.isConnected) return; // told of once more as it goes
      const width = Math.max(1, Math.round(element.clientWidth * devicePixelRatio));
      setSize((now) => {
        const height = Math.max(1, Math.round(width * aspect));
        return now?.width === width && now.height === height ? now : { width, height };
      });
    };
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    measure();
    return () => observer.disconnect();
  }, [aspect]);
  return size;
}
