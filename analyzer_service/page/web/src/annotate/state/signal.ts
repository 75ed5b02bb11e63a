// Tells the parts of the page that show a state that it has changed.
import { useEffect, useReducer } from "preact/hooks";

export class Signal {
  private readonly listeners = new Set<() => void>();

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  emit(): void {
    for (const listener of [...this.listeners]) listener();
  }
}

/** Draw a component anew whenever one of the signals is given. */
export function useSignals(...signals: Signal[]): void {
  const [, redraw] = useReducer((times: number) => times + 1, 0);
  useEffect(() => {
    const stops = signals.map((signal) => signal.listen(() => redraw(undefined)));
    redraw(undefined); // what changed between drawing and listening
    return () => stops.forEach((stop) => stop());
  }, signals);
}
