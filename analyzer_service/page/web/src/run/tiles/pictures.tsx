// All panels of one tile: input, reconstruction, error, and every layer's map over the input.
import { useMemo } from "preact/hooks";

import { number } from "../../base/format";
import { errorOf, meanOf, percentile, valueAt, type FloatMap, type TileImage } from "./arrays";
import { ColorBar } from "./color_bar";
import type { Tables } from "./colors";
import type { Linked } from "./gestures";
import { scaleOf, type Look } from "./look";
import { ON_MAP, ON_TISSUE, paintImage, paintMap, paintOutlines, paintScaleBar } from "./paint";
import { Panel, type Paint } from "./panel";
import type { LayerFacts, Outlines, StepFacts, Tile } from "./store";
import type { Spot } from "./view";

const ERROR_LIMIT = 0.25;

export interface Shown {
  tile: Tile;
  facts: StepFacts;
  position: number;
  outlines: Outlines | null;
}

interface PictureProps {
  shown: Shown;
  look: Look;
  tables: Tables;
  linked: Linked;
}

export function Pictures(props: PictureProps) {
  const { shown } = props;
  return (
    <>
      <InputPanel {...props} />
      <ReconstructionPanel {...props} />
      <ErrorPanel {...props} />
      {shown.tile.facts.layers.map((layer) => (
        <LayerPanel key={layer.key} {...props} layer={layer} />
      ))}
    </>
  );
}

function InputPanel({ shown, linked }: PictureProps) {
  const input = shown.tile.images.input!;
  const { mpp, id } = shown.tile.facts;
  const nuclei = shown.outlines;
  const paint = useMemo<Paint>(
    () => (context, view) => {
      paintImage(context, input.color, view);
      if (nuclei) paintOutlines(context, nuclei.rings, input, view, ON_TISSUE);
      if (mpp) paintScaleBar(context, mpp * input.width, view);
    },
    [input, nuclei, mpp],
  );
  const found = nuclei ? `, ${nuclei.count} nuclei outlined` : "";
  return (
    <Panel
      title="Input"
      label={`Input: tile ${id}, ${input.width} by ${input.height} pixels${found}`}
      aspect={input.height / input.width}
      paint={paint}
      linked={linked}
      read={(spot) => `row ${rowAt(input, spot)}, col ${colAt(input, spot)}: ${colorAt(input, spot)}`}
      fact={nuclei ? nucleiWords(nuclei) : `${input.width} × ${input.height} px`}
    />
  );
}

function ReconstructionPanel({ shown, linked }: PictureProps) {
  const image = shown.tile.images.reconstruction!;
  const { ssim, psnr } = shown.facts.tiles[shown.position]!.numbers;
  const paint = useMemo<Paint>(
    () => (context, view) => paintImage(context, image.color, view),
    [image],
  );
  return (
    <Panel
      title="Reconstruction"
      label={`Reconstruction, SSIM ${number(ssim, 3)}`}
      aspect={image.height / image.width}
      paint={paint}
      linked={linked}
      read={(spot) => `RGB ${colorAt(image, spot)}`}
      fact={`SSIM ${number(ssim, 3)}, PSNR ${withUnit(psnr, "dB")}`}
    />
  );
}

function ErrorPanel({ shown, look, tables, linked }: PictureProps) {
  const { input, reconstruction } = shown.tile.images;
  const error = useMemo(() => errorOf(input!, reconstruction!), [input, reconstruction]);
  const high = useMemo(
    () => (look.scale === "tile" ? percentile(error, 99) || ERROR_LIMIT : ERROR_LIMIT),
    [error, look.scale],
  );
  const mean = useMemo(() => meanOf(error), [error]);
  const paint = useMemo<Paint>(() => {
    const shownAs = { table: tables.magma, low: 0, high, smooth: false, opacity: 1 };
    return (context, view) => paintMap(context, error, shownAs, view);
  }, [error, high, tables]);
  return (
    <Panel
      title="Error"
      label={`Absolute error, mean over channels: ${number(mean, 3)} on average, colors from 0 to ${number(high, 3)}`}
      aspect={error.height / error.width}
      paint={paint}
      linked={linked}
      read={(spot) => number(valueAt(error, spot.down, spot.right), 3)}
      fact={`absolute, mean ${number(mean, 3)}`}
    >
      <ColorBar table={tables.magma} ticks={["0", number(high / 2, 3), `≥ ${number(high, 3)}`]} />
    </Panel>
  );
}

function LayerPanel({ shown, look, tables, linked, layer }: PictureProps & { layer: LayerFacts }) {
  const { tile, outlines } = shown;
  const input = tile.images.input!;
  const scale = useMemo(() => scaleOf(tile, layer, look.scale), [tile, layer, look.scale]);
  const { opacity, smooth, gray } = look;
  const table = tables[look.colors];
  const paint = useMemo<Paint>(
    () => (context, view) => {
      paintImage(context, gray && opacity > 0 ? input.gray() : input.color, view);
      if (!scale) veil(context);
      else paintMap(context, scale.map, { ...scale, table, smooth, opacity }, view);
      if (outlines) paintOutlines(context, outlines.rings, input, view, ON_MAP);
    },
    [input, scale, table, smooth, opacity, gray, outlines],
  );
  const numbers = shown.facts.tiles[shown.position]?.of_layers[layer.key] ?? {};
  const entropy = numbers.attention_entropy;
  return (
    <Panel
      title={<LayerTitle layer={layer} />}
      label={layerLabel(layer, entropy)}
      remark={layer.remark}
      aspect={input.height / input.width}
      paint={paint}
      linked={linked}
      read={(spot) => (scale ? readLayer(tile, layer, scale.map, scale.value, spot) : "–")}
      fact={`entropy ${withUnit(entropy, "nats")}`}
    >
      {scale && <ColorBar table={table} ticks={scale.ticks} />}
    </Panel>
  );
}

function LayerTitle({ layer }: { layer: LayerFacts }) {
  return (
    <>
      {layer.kind === "attention" ? "Attention" : "Activation"} <code>{layer.name}</code>
    </>
  );
}

export function layerLabel(layer: LayerFacts, entropy: number | null | undefined): string {
  const what = `${layer.kind === "attention" ? "Attention" : "Activation"} of ${layer.name}`;
  if (layer.status !== "ok") return `${what}: ${layer.remark}`;
  const remark = layer.remark ? `, ${layer.remark}` : "";
  const range = `from ${number(layer.min)} to ${number(layer.max)}`;
  const said = Number.isFinite(entropy) ? `entropy ${number(entropy, 2)} nats, ` : "";
  return `${what}, ${said}${range}${remark}`;
}

/** A number and its unit; a dash alone where it is undefined. */
export function withUnit(value: number | null | undefined, unit: string): string {
  const text = number(value, 3);
  return Number.isFinite(value) ? `${text} ${unit}` : text;
}

/** Pale, so that it reads as context and not as a map. */
export function veil(context: CanvasRenderingContext2D): void {
  context.fillStyle = "#ffffff8c";
  context.fillRect(0, 0, context.canvas.width, context.canvas.height);
}

function readLayer(
  tile: Tile,
  layer: LayerFacts,
  shown: FloatMap,
  words: (value: number) => string,
  spot: Spot,
): string {
  const raw = tile.maps.get(layer.key)!;
  const value = number(valueAt(raw, spot.down, spot.right));
  return raw === shown ? value : `${value}, ${words(valueAt(shown, spot.down, spot.right))}`;
}

function rowAt({ height }: TileImage, { down }: Spot): number {
  return Math.min(height - 1, Math.floor(down * height));
}

function colAt({ width }: TileImage, { right }: Spot): number {
  return Math.min(width - 1, Math.floor(right * width));
}

function colorAt(image: TileImage, spot: Spot): string {
  const at = 3 * (rowAt(image, spot) * image.width + colAt(image, spot));
  return image.pixels.slice(at, at + 3).join(" ");
}

function nucleiWords({ count, assumed_mpp }: Outlines): string {
  return `${count} nuclei, approximate${assumed_mpp ? " (0.5 µm/px assumed)" : ""}`;
}
