// The corner of a shape that is nearest to a place, and the shape without it.
import type { Geometry, Position } from "../state/types";

/** The shape without the corner nearest to `at`; null where none is in `reach` or to spare. */
export function withoutCorner(geometry: Geometry, at: Position, reach: number): Geometry | null {
  if (geometry.type === "Point") return null;
  const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  const found = nearest(polygons, at);
  if (!found || found.distance > reach) return null;
  const ring = polygons[found.polygon]![found.ring]!;
  if (ring.length <= 4) return null;
  const corners = ring.slice(0, -1).toSpliced(found.corner, 1);
  const changed = polygons.map((rings, p) =>
    p !== found.polygon
      ? rings
      : rings.map((each, r) => (r === found.ring ? [...corners, corners[0]!] : each)),
  );
  return geometry.type === "Polygon"
    ? { type: "Polygon", coordinates: changed[0]! }
    : { type: "MultiPolygon", coordinates: changed };
}

function nearest(polygons: Position[][][], at: Position) {
  let best: { polygon: number; ring: number; corner: number; distance: number } | null = null;
  polygons.forEach((rings, polygon) =>
    rings.forEach((ring, r) =>
      ring.slice(0, -1).forEach(([x, y], corner) => {
        const distance = Math.hypot(x - at[0], y - at[1]);
        if (!best || distance < best.distance) best = { polygon, ring: r, corner, distance };
      }),
    ),
  );
  return best as { polygon: number; ring: number; corner: number; distance: number } | null;
}
