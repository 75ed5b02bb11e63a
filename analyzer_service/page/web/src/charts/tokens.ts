// Colors of curves as the theme has them, and numbers on axes.
import { color, onThemeChange } from "../base/colors";

const SHADES = new Map<string, string>();
onThemeChange(() => SHADES.clear());

/** `property` of the style sheet (#rrggbb), let through by `share`; asked for with each frame. */
export function faint(property: string, share = 1): string {
  const key = `${property} ${share}`;
  let shade = SHADES.get(key);
  if (shade === undefined) SHADES.set(key, (shade = mixed(color(property), share)));
  return shade;
}

function mixed(value: string, share: number): string {
  const parts = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(value);
  if (!parts) return value;
  const [red, green, blue] = parts.slice(1).map((part) => parseInt(part, 16));
  return `rgba(${red}, ${green}, ${blue}, ${share})`;
}

/** A number on an axis, as short as it can be. */
export function tick(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e9) return `${+(value / 1e9).toPrecision(4)}G`;
  if (size >= 1e6) return `${+(value / 1e6).toPrecision(4)}M`;
  if (size >= 1e4) return `${+(value / 1e3).toPrecision(4)}k`;
  if (size !== 0 && size < 1e-3) return value.toExponential(1).replace(".0e", "e");
  return `${+value.toPrecision(4)}`;
}
