// Whether an element is on screen, or nearly: only then its chart is drawn and asks for numbers.
import type { RefObject } from "preact";
import { useEffect, useState } from "preact/hooks";

const CALLS = new Map<Element, (visible: boolean) => void>();
let observer: IntersectionObserver | null = null;

export function useVisible(ref: RefObject<HTMLElement | null>): boolean {
  const [visible, setVisible] = useState(false);
  useEffect(() => {
    const element = ref.current;
    if (!element) return;
    // One observer for all: charts that come into view together ask with one request.
    observer ??= new IntersectionObserver(
      (entries) => entries.forEach((entry) => CALLS.get(entry.target)?.(entry.isIntersecting)),
      { rootMargin: "160px 0px" },
    );
    CALLS.set(element, setVisible);
    observer.observe(element);
    return () => {
      CALLS.delete(element);
      observer?.unobserve(element);
    };
  }, [ref]);
  return visible;
}
