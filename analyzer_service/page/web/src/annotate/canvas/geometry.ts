// Shapes as the server has them (y down) and as OpenLayers draws them (y up): y changes its sign,
// which loses nothing.
import type OlGeometry from "ol/geom/Geometry";
import MultiPolygon from "ol/geom/MultiPolygon";
import OlPoint from "ol/geom/Point";
import Polygon from "ol/geom/Polygon";

import type { Geometry, Position } from "../state/types";

/** Coordinates are rounded to so many pixels: far below what anyone can draw. */
const STEP = 1e-3;
/** Outlines drawn by hand move by no more than this when they are thinned. */
export const THINNED_BY_PX = 0.25;

const flipped = ([x, y]: Position): Position => [x, -y];

export function toOl(geometry: Geometry): OlGeometry {
  switch (geometry.type) {
    case "Point":
      return new OlPoint(flipped(geometry.coordinates));
    case "Polygon":
      return new Polygon(geometry.coordinates.map((ring) => ring.map(flipped)));
    case "MultiPolygon":
      return new MultiPolygon(
        geometry.coordinates.map((rings) => rings.map((ring) => ring.map(flipped))),
      );
  }
}

/** Null for what encloses nothing. */
export function fromOl(geometry: OlGeometry): Geometry | null {
  if (geometry instanceof OlPoint) {
    return { type: "Point", coordinates: position(geometry.getCoordinates()) };
  }
  if (geometry instanceof Polygon) {
    const coordinates = polygon(geometry.getCoordinates());
    return coordinates && { type: "Polygon", coordinates };
  }
  if (geometry instanceof MultiPolygon) {
    const coordinates = geometry.getCoordinates().map(polygon).filter((rings) => rings !== null);
    return coordinates.length ? { type: "MultiPolygon", coordinates } : null;
  }
  throw new Error(`no mark is a ${geometry.getType()}`);
}

export function same(one: Geometry, other: Geometry): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}

/** Whether a shape has room inside; lines and single positions have none. */
function polygon(rings: number[][][]): Position[][] | null {
  const [outer, ...holes] = rings.map(closed).filter((ring) => ring.length >= 4);
  return outer && areaOf(outer) > 0 ? [outer, ...holes] : null;
}

/** A ring without positions that repeat, its first once more at the end. */
function closed(ring: number[][]): Position[] {
  const positions = ring.map(position);
  const kept = positions.filter((at, i) => i === 0 || !equal(at, positions[i - 1]!));
  if (kept.length > 1 && !equal(kept[0]!, kept.at(-1)!)) kept.push(kept[0]!);
  return kept;
}

function areaOf(ring: Position[]): number {
  let twice = 0;
  for (let i = 1; i < ring.length; i += 1) {
    const [x0, y0] = ring[i - 1]!;
    const [x1, y1] = ring[i]!;
    twice += x0 * y1 - x1 * y0;
  }
  return Math.abs(twice) / 2;
}

function position(at: number[]): Position {
  return [rounded(at[0]!), rounded(-at[1]!)];
}

function rounded(value: number): number {
  return Math.round(value / STEP) / Math.round(1 / STEP) + 0; // + 0: never minus zero
}

function equal(one: Position, other: Position): boolean {
  return one[0] === other[0] && one[1] === other[1];
}
