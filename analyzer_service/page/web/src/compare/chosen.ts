// Which runs are compared: the address says it, so that a comparison can be shared.
import { useState } from "preact/hooks";

export const MOST = 8;

export function useChosen(): [string[], (runs: string[]) => void] {
  const [chosen, setChosen] = useState(() => [
    ...new Set(new URLSearchParams(location.search).getAll("run")),
  ].slice(0, MOST));
  const choose = (runs: string[]) => {
    const query = new URLSearchParams(runs.map((run) => ["run", run]));
    history.replaceState(history.state, "", `${location.pathname}?${query}${location.hash}`);
    setChosen(runs);
  };
  return [chosen, choose];
}
