// How marks look on a tile: a line in the color of the class, on a dark one so that it stands out
// from pale and from dark tissue alike.
import type { FeatureLike } from "ol/Feature";
import MultiPoint from "ol/geom/MultiPoint";
import MultiPolygon from "ol/geom/MultiPolygon";
import Polygon from "ol/geom/Polygon";
import CircleStyle from "ol/style/Circle";
import Fill from "ol/style/Fill";
import Stroke from "ol/style/Stroke";
import Style from "ol/style/Style";
import Text from "ol/style/Text";

import type { Rgb } from "../state/types";

const DARK = "rgba(10, 14, 20, 0.75)";
const LIGHT = "rgba(255, 255, 255, 0.85)";
const DARK_BELOW = 60;
const FONT = "600 12px system-ui, sans-serif";
export const UNKNOWN: Rgb = [200, 200, 200];

export interface Look {
  color: Rgb;
  label: string;
  selected: boolean;
  /** Its corners are shown, to be moved. */
  edited: boolean;
  /** Of another reader: dashed. */
  foreign: boolean;
}

/** Around a line: dark, but light around a dark one. Weights of ITU-R BT.709. */
function haloOf([r, g, b]: Rgb): string {
  return 0.2126 * r + 0.7152 * g + 0.0722 * b < DARK_BELOW ? LIGHT : DARK;
}

export const css = ([r, g, b]: Rgb, alpha = 1) => `rgba(${r}, ${g}, ${b}, ${alpha})`;

export function styleOf(feature: FeatureLike): Style[] {
  const look = feature.get("look") as Look | undefined;
  if (!look) return [];
  const color = look.color ?? UNKNOWN;
  const halo = look.selected ? "#ffffff" : haloOf(color);
  const width = look.selected ? 3.5 : 2;
  const dash = look.foreign ? { lineDash: [7, 6] } : {};
  const zIndex = look.selected ? 2 : look.foreign ? 0 : 1;
  return [
    new Style({
      zIndex,
      stroke: new Stroke({ color: halo, width: width + 2.5, ...dash }),
    }),
    new Style({
      zIndex,
      stroke: new Stroke({ color: css(color), width, ...dash }),
      fill: new Fill({ color: css(color, look.foreign ? 0.05 : look.selected ? 0.26 : 0.16) }),
      image: dot(css(color), halo, look.selected ? 8 : 6.5),
      ...(look.label ? { text: labelled(look, feature.getGeometry()?.getType() === "Point") } : {}),
    }),
    ...(look.edited ? [corners(color)] : []),
  ];
}

export function sketchStyle(color: Rgb): Style[] {
  const halo = haloOf(color);
  return [
    new Style({
      stroke: new Stroke({ color: halo, width: 4.5 }),
    }),
    new Style({
      stroke: new Stroke({ color: css(color), width: 2 }),
      fill: new Fill({ color: css(color, 0.2) }),
      image: dot(css(color), halo, 5.5),
    }),
  ];
}

/** The corner that the pointer holds. */
export function heldStyle(): Style {
  return new Style({
    image: new CircleStyle({
      radius: 8,
      stroke: new Stroke({ color: "#ffffff", width: 2.5 }),
      fill: new Fill({ color: "rgba(0, 87, 163, 0.9)" }),
    }),
  });
}

/** Shown whatever is near it: only labels make room for each other. */
function dot(color: string, halo: string, radius: number): CircleStyle {
  return new CircleStyle({
    radius,
    fill: new Fill({ color }),
    stroke: new Stroke({ color: halo, width: 2.5 }),
    declutterMode: "none",
  });
}

function labelled(look: Look, point: boolean): Text {
  return new Text({
    text: look.label,
    font: FONT,
    overflow: look.foreign,
    offsetY: point ? -17 : 0,
    fill: new Fill({ color: "#ffffff" }),
    stroke: new Stroke({ color: "rgba(10, 14, 20, 0.85)", width: 3.5 }),
  });
}

function corners(color: Rgb): Style {
  return new Style({
    zIndex: 3,
    image: new CircleStyle({
      radius: 5,
      fill: new Fill({ color: "#ffffff" }),
      stroke: new Stroke({ color: css(color), width: 2 }),
      declutterMode: "none",
    }),
    geometry: (feature) => {
      const geometry = feature.getGeometry();
      const polygon = geometry instanceof Polygon;
      if (!polygon && !(geometry instanceof MultiPolygon)) return undefined;
      const rings = polygon ? geometry.getCoordinates() : geometry.getCoordinates().flat();
      return new MultiPoint(rings.flat());
    },
  });
}
