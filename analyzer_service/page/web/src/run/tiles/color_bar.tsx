// The colors of a map from low to high, with the numbers that they stand for.
import { useLayoutEffect, useRef } from "preact/hooks";

import type { Table } from "./colors";

export function ColorBar({ table, ticks }: { table: Table; ticks: string[] }) {
  const canvas = useRef<HTMLCanvasElement>(null);
  useLayoutEffect(() => {
    const levels = table.length / 3;
    const image = new ImageData(levels, 1);
    for (let i = 0; i < levels; i += 1) {
      image.data.set([table[3 * i]!, table[3 * i + 1]!, table[3 * i + 2]!, 255], 4 * i);
    }
    canvas.current!.getContext("2d")!.putImageData(image, 0, 0);
  }, [table]);
  return (
    <div class="color-bar">
      <canvas ref={canvas} width={table.length / 3} height={1} aria-hidden="true" />
      <span class="ticks">
        {ticks.map((tick) => (
          <span key={tick}>{tick}</span>
        ))}
      </span>
    </div>
  );
}
