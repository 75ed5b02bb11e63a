// Which part of the bench each key is for.
import type { Keyed } from "./keys";
import type { Bench } from "./state/bench";
import type { Tool } from "./state/desk";

/** Held down for longer, the key shows attention only as long as it is held. */
const PEEK_MS = 400;
const TOOLS: Record<string, Tool> = {
  v: "select",
  p: "polygon",
  f: "freehand",
  o: "point",
  e: "edit",
  m: "move",
  u: "union",
  s: "subtract",
};

export function keysOf(bench: Bench): Keyed {
  const { work, desk, tour, attention } = bench;
  const tools = () => bench.easel?.tools;
  const canvas = () => bench.easel?.canvas;
  let shownAt: number | null = null;
  return {
    tool: (key) => {
      const tool = TOOLS[key];
      if (tool) work.take(tool);
      return tool !== undefined;
    },
    classAt: (at) => work.classify(at),
    undo: () => {
      if (!tools()?.back()) work.undo();
    },
    redo: () => work.redo(),
    remove: (backspace) => {
      if (tools()?.drawing) {
        if (backspace) tools()?.back();
      } else if (desk.tool !== "edit" || !tools()?.removeCorner()) work.remove();
    },
    finish: () => {
      const drawing = tools()?.drawing ?? false;
      tools()?.finish();
      return drawing;
    },
    cancel: () => {
      if (tools()?.cancel()) desk.say("Given up.");
      else if (desk.selected.length) desk.select([]);
      else work.take("select");
    },
    go: (steps) => tour.go(steps),
    nextOpen: () => tour.nextOpen(),
    zoom: (steps) => canvas()?.zoom(steps),
    fit: () => canvas()?.fit(),
    labels: () => desk.label(!desk.labels),
    help: () => bench.ask("help"),
    attention: (held) => {
      if (held === "down") {
        shownAt = attention.visible ? null : performance.now();
        bench.toggleAttention();
        return;
      }
      if (attention.visible && shownAt !== null && performance.now() - shownAt > PEEK_MS) {
        attention.hide();
      }
      shownAt = null;
    },
    pan: (on) => {
      const now = tools();
      if (!now) return false;
      const before = now.panning;
      now.panning = on && (before || document.querySelector(".canvas:hover") !== null);
      return before || now.panning;
    },
  };
}
