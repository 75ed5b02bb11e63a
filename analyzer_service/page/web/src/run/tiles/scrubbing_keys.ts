// Keys that work wherever the focus is, except where they type or move something themselves.
import { useEffect, useRef } from "preact/hooks";

const TYPED = "input:not([type='checkbox']), textarea, select, dialog *, [contenteditable]";

export function useScrubbingKeys(keys: Record<string, () => void>): void {
  const latest = useRef(keys);
  latest.current = keys;
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const act = latest.current[event.key];
      if (!act || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as Element;
      if (event.shiftKey || target.matches(TYPED)) return;
      if (event.key === " " && target.matches("button, a, summary, input")) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
}
