// What a tab shows of a run, fetched anew whenever the run goes on, but not more often than needed.
import { useEffect, useRef, useState } from "preact/hooks";

const EVERY_MS = 250;

/** Loads again when poked; while it loads, pokes are gathered into one more load. */
class Follower {
  #timer = 0;
  #asked = -Infinity;
  #busy = false;
  #due = false;
  #stopped = false;

  constructor(private readonly load: () => Promise<void>) {}

  poke(): void {
    this.#due = true;
    if (this.#busy || this.#timer) return;
    const wait = Math.max(0, this.#asked + EVERY_MS - performance.now());
    this.#timer = setTimeout(() => void this.#run(), wait);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
  }

  async #run(): Promise<void> {
    this.#timer = 0;
    this.#asked = performance.now();
    this.#due = false;
    this.#busy = true;
    await this.load();
    this.#busy = false;
    if (this.#due && !this.#stopped) this.poke();
  }
}

export interface Followed<T> {
  value: T | null;
  error: unknown;
  retry: () => void;
}

/** `load` is given what is known already, and is called again when `changed` has another value. */
export function useFollowed<T>(
  changed: unknown,
  load: (known: T | null) => Promise<T>,
): Followed<T> {
  const [value, setValue] = useState<T | null>(null);
  const [error, setError] = useState<unknown>(null);
  const known = useRef<T | null>(null);
  const follower = useRef<Follower | null>(null);
  useEffect(() => {
    let gone = false;
    follower.current = new Follower(async () => {
      try {
        const found = await load(known.current);
        if (gone) return;
        known.current = found;
        setValue(found);
        setError(null);
      } catch (failed) {
        if (!gone) setError(failed);
      }
    });
    return () => {
      gone = true;
      follower.current?.stop();
    };
  }, []);
  useEffect(() => follower.current?.poke(), [changed]);
  return { value, error, retry: () => follower.current?.poke() };
}
