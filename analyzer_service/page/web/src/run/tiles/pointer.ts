// The place under the pointer, told to all panels without drawing any of them anew.
import { useEffect, useState } from "preact/hooks";

import type { Spot } from "./view";

export class Pointer {
  #told = new Set<(spot: Spot | null) => void>();
  spot: Spot | null = null;

  set(spot: Spot | null): void {
    this.spot = spot;
    for (const tell of this.#told) tell(spot);
  }

  listen(tell: (spot: Spot | null) => void): () => void {
    this.#told.add(tell);
    return () => this.#told.delete(tell);
  }
}

export function useSpot(pointer: Pointer): Spot | null {
  const [spot, setSpot] = useState<Spot | null>(pointer.spot);
  useEffect(() => pointer.listen(setSpot), [pointer]);
  return spot;
}
