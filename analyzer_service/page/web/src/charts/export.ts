// A chart as a table and as a picture: exactly what is shown.
import { color } from "../base/colors";
import { HIGH, LOW, PLAIN, SMOOTH, place } from "./drawn";
import type { Plot } from "./plot";

const LINE = 20;
const EDGE = 12;

/** The points in view as CSV: the step, and of each curve its mean, lowest, highest, smoothed. */
export function csvOf(plot: Plot): string {
  const { data } = plot.uplot;
  const { min, max } = plot.uplot.scales.x!;
  const columns: { name: string; at: number }[] = [];
  plot.curves.forEach((curve, i) => {
    const parts: [number, string][] = [
      [PLAIN, ""],
      [LOW, ":low"],
      [HIGH, ":high"],
      [SMOOTH, ":smoothed"],
    ];
    for (const [part, suffix] of parts) {
      const at = place(i, part);
      const used = data[at]!.some((value) => value !== undefined);
      if (used || part === PLAIN) columns.push({ name: `${curve.id}${suffix}`, at });
    }
  });
  const lines = [["global_step", ...columns.map(({ name }) => quoted(name))].join(",")];
  data[0].forEach((step, i) => {
    if ((min != null && step < min) || (max != null && step > max)) return;
    lines.push([step, ...columns.map(({ at }) => data[at]![i] ?? "")].join(","));
  });
  return `${lines.join("\n")}\n`;
}

/** The chart with its title and legend, on the theme's background, as a PNG. */
export async function pngOf(plot: Plot, title: string): Promise<Blob> {
  const chart = plot.uplot.ctx.canvas;
  const scale = devicePixelRatio;
  const width = chart.width / scale;
  const canvas = document.createElement("canvas");
  const ctx = canvas.getContext("2d")!;
  ctx.font = FONT;
  const rows = laidOut(ctx, plot, width - 2 * EDGE);
  const top = EDGE + LINE + rows.length * LINE + 6;
  canvas.width = chart.width;
  canvas.height = chart.height + top * scale;
  ctx.scale(scale, scale);
  ctx.fillStyle = color("--page");
  ctx.fillRect(0, 0, width, canvas.height / scale);
  ctx.fillStyle = color("--text");
  ctx.font = "600 14px system-ui, sans-serif";
  ctx.fillText(title, EDGE, EDGE + 12, width - 2 * EDGE);
  ctx.font = FONT;
  rows.forEach((row, i) => {
    const y = EDGE + LINE * (i + 1) + 12;
    for (const { x, curve } of row) drawKey(ctx, x, y, plot.curves[curve]!);
  });
  ctx.setTransform(1, 0, 0, 1, 0, 0);
  ctx.drawImage(chart, 0, top * scale);
  return new Promise((made, failed) =>
    canvas.toBlob((blob) => (blob ? made(blob) : failed(new Error("no picture"))), "image/png"),
  );
}

export function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

const FONT = "12px system-ui, sans-serif";
const KEY_WIDTH = 26;

function laidOut(ctx: CanvasRenderingContext2D, plot: Plot, width: number) {
  const rows: { x: number; curve: number }[][] = [[]];
  let x = EDGE;
  plot.curves.forEach((curve, i) => {
    const needed = KEY_WIDTH + 6 + ctx.measureText(curve.label).width + 18;
    if (x > EDGE && x + needed > EDGE + width) {
      rows.push([]);
      x = EDGE;
    }
    rows.at(-1)!.push({ x, curve: i });
    x += needed;
  });
  return rows;
}

function drawKey(
  ctx: CanvasRenderingContext2D,
  x: number,
  y: number,
  curve: Plot["curves"][number],
): void {
  ctx.strokeStyle = color(curve.color);
  ctx.lineWidth = 2;
  ctx.setLineDash(curve.dash);
  ctx.beginPath();
  ctx.moveTo(x, y - 4);
  ctx.lineTo(x + KEY_WIDTH, y - 4);
  ctx.stroke();
  ctx.setLineDash([]);
  ctx.fillStyle = color("--text");
  ctx.fillText(curve.label, x + KEY_WIDTH + 6, y);
}

/** A CSV cell; text that a spreadsheet would take for a formula is kept as text. */
function quoted(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}
