// What part of the tile all panels show: zoomed and moved together. Places are shares of the tile.

export interface View {
  zoom: number;
  /** The part's center. */
  right: number;
  down: number;
}

export interface Spot {
  right: number;
  down: number;
}

export const WHOLE: View = { zoom: 1, right: 0.5, down: 0.5 };
const MOST = 16;

/** Side of the part, and its left and upper edge. */
export function partOf(view: View): { side: number; left: number; top: number } {
  const side = 1 / view.zoom;
  return { side, left: view.right - side / 2, top: view.down - side / 2 };
}

/** `view` larger by `factor`; what lies at `spot` of the panel stays there. */
export function zoomed(view: View, factor: number, spot: Spot = { right: 0.5, down: 0.5 }): View {
  const zoom = Math.min(MOST, Math.max(1, view.zoom * factor));
  const shift = 1 / view.zoom - 1 / zoom;
  return within({
    zoom,
    right: view.right + (spot.right - 0.5) * shift,
    down: view.down + (spot.down - 0.5) * shift,
  });
}

/** `view` moved by shares of the panel. */
export function moved(view: View, right: number, down: number): View {
  return within({
    zoom: view.zoom,
    right: view.right + right / view.zoom,
    down: view.down + down / view.zoom,
  });
}

/** Place of the tile at a spot of the panel. */
export function tileSpot(view: View, spot: Spot): Spot {
  const { side, left, top } = partOf(view);
  return { right: left + spot.right * side, down: top + spot.down * side };
}

/** Spot of the panel at a place of the tile; beyond 0 and 1 where it is not in view. */
export function panelSpot(view: View, spot: Spot): Spot {
  const { side, left, top } = partOf(view);
  return { right: (spot.right - left) / side, down: (spot.down - top) / side };
}

function within({ zoom, right, down }: View): View {
  const margin = 0.5 / zoom;
  const inside = (at: number) => Math.min(1 - margin, Math.max(margin, at));
  return { zoom, right: inside(right), down: inside(down) };
}
