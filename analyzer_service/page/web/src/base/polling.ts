// Asking the server again and again, while somebody looks.
import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { getJson } from "./api";

export interface Polled<T> {
  value: T | null;
  /** Why the last question was not answered; null once one is. */
  error: unknown;
  /** Ask at once. */
  refresh: () => void;
}

/**
 * What `url` answers, asked every `everyMs` while the page is seen and `going` says so of the last
 * answer; at once when `changed` has another value.
 */
export function usePolled<T>(
  url: string,
  everyMs: number,
  { going = () => true, changed }: { going?: (value: T) => boolean; changed?: unknown } = {},
): Polled<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const [asked, setAsked] = useState(0);
  const goes = useRef(true);

  useEffect(() => {
    const stop = new AbortController();
    let timer = 0;
    const ask = async () => {
      clearTimeout(timer);
      try {
        const found = await getJson<T>(url, stop.signal);
        goes.current = going(found);
        setValue(found);
        setError(null);
      } catch (failed) {
        if (!stop.signal.aborted) setError(failed);
      }
      const again = goes.current && !document.hidden && !stop.signal.aborted;
      if (again) timer = window.setTimeout(() => void ask(), everyMs);
    };
    const seen = () => {
      if (!document.hidden) void ask();
    };
    void ask();
    document.addEventListener("visibilitychange", seen);
    return () => {
      stop.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [url, everyMs, changed, asked]);

  const refresh = useCallback(() => setAsked((before) => before + 1), []);
  return { value, error, refresh };
}
