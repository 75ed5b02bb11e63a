// What each key does; nothing while somebody types or answers a question.

/** What keys ask for; see panels/help.tsx for which. */
export interface Keyed {
  tool(key: string): boolean;
  classAt(at: number): void;
  undo(): void;
  redo(): void;
  remove(backspace: boolean): void;
  /** Whether there was a shape to finish. */
  finish(): boolean;
  cancel(): void;
  go(steps: 1 | -1): void;
  nextOpen(): void;
  zoom(steps: number): void;
  fit(): void;
  labels(): void;
  help(): void;
  attention(held: "down" | "up"): void;
  /** Whether the pointer is over the tile, so that Space pans. */
  pan(on: boolean): boolean;
}

export function listenToKeys(keyed: Keyed): () => void {
  const down = (event: KeyboardEvent) => {
    if (asking() || typing(event)) return;
    if (handled(event, keyed)) event.preventDefault();
  };
  const up = (event: KeyboardEvent) => {
    if (event.key.toLowerCase() === "a") keyed.attention("up");
    if (event.key === " " && keyed.pan(false)) event.preventDefault();
  };
  const away = () => void keyed.pan(false);
  document.addEventListener("keydown", down);
  document.addEventListener("keyup", up);
  addEventListener("blur", away);
  return () => {
    document.removeEventListener("keydown", down);
    document.removeEventListener("keyup", up);
    removeEventListener("blur", away);
  };
}

function handled(event: KeyboardEvent, keyed: Keyed): boolean {
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  if (event.ctrlKey || event.metaKey) return commanded(key, event.shiftKey, keyed);
  if (event.altKey) return false;
  if (/^[1-9]$/.test(key)) {
    keyed.classAt(Number(key) - 1);
    return true;
  }
  if (key === "Enter") return keyed.finish();
  if (key === " ") return keyed.pan(true);
  if (key === "a" && event.repeat) return true;
  const acts: Record<string, () => void> = {
    n: () => (event.shiftKey ? keyed.nextOpen() : keyed.go(1)),
    b: () => keyed.go(-1),
    ArrowRight: () => keyed.go(1),
    ArrowLeft: () => keyed.go(-1),
    Delete: () => keyed.remove(false),
    Backspace: () => keyed.remove(true),
    Escape: () => keyed.cancel(),
    "+": () => keyed.zoom(1),
    "=": () => keyed.zoom(1),
    "-": () => keyed.zoom(-1),
    "0": () => keyed.fit(),
    l: () => keyed.labels(),
    "?": () => keyed.help(),
    a: () => keyed.attention("down"),
  };
  const act = acts[key];
  if (!act) return keyed.tool(key);
  act();
  return true;
}

function commanded(key: string, shift: boolean, keyed: Keyed): boolean {
  if (key === "z") (shift ? keyed.redo : keyed.undo)();
  else if (key === "y") keyed.redo();
  else return false;
  return true;
}

function asking(): boolean {
  return document.querySelector("dialog[open]") !== null;
}

/** Whether a key belongs to the control that has the focus. */
function typing({ target, key }: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) {
    const simple = ["radio", "checkbox", "range"].includes(target.type);
    return !simple || key.startsWith("Arrow") || key === " " || key === "0";
  }
  return target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement;
}
