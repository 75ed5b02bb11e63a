// What is known of the shown tile: where it comes from, its quality, the numbers of each layer.
import { Fragment } from "preact";

import { number } from "../../base/format";
import { withUnit, type Shown } from "./pictures";
import type { TileStore, Place } from "./store";

type Numbers = Record<string, number | null>;

const STAINS = { he: "H&E", ihc: "IHC", unknown: "not stated" };
const TILE_ROWS: [string, string, string?][] = [
  ["ssim", "SSIM"],
  ["psnr", "PSNR", "dB"],
  ["mse", "MSE"],
  ["spatial_consistency", "Layers agree (r)"],
  ["nuclear_count", "Nuclei"],
  ["nuclear_area_fraction", "Nuclear area", "%"],
  ["tissue_fraction", "Tissue", "%"],
];
const LAYER_ROWS: [string, string][] = [
  ["attention_entropy", "Entropy, nats"],
  ["attention_concentration_10", "Concentration"],
  ["attention_sparsity", "Sparsity"],
  ["attention_gini", "Gini"],
  ["attention_center_distance", "Center distance"],
  ["num_attention_peaks", "Peaks"],
  ["attention_contrast", "Contrast"],
  ["attention_min", "Least value"],
  ["attention_max", "Greatest value"],
  ["temporal_consistency", "As last epoch (r)"],
  ["nuclear_attention_enrichment", "On nuclei, × chance"],
  ["nuclear_attention_auc", "Nuclei, AUC"],
  ["tissue_attention_correlation", "With tissue (r)"],
];

export function FactsOfTile({ shown, store, place }: { shown: Shown; store: TileStore; place: Place }) {
  const { facts, tile, position } = shown;
  const { numbers, of_layers } = facts.tiles[position]!;
  const { source, slide, row, col, mpp, id } = tile.facts;
  const field = mpp && `${number(facts.width * mpp, 3)} × ${number(facts.height * mpp, 3)} µm`;
  return (
    <aside class="facts" aria-label="Facts of the tile">
      <dl>
        <Fact name="Tile">
          <code>
            <Breakable name={id} />
          </code>
        </Fact>
        {slide && (
          <Fact name="Slide">
            <Breakable name={slide} />
          </Fact>
        )}
        {source && (
          <Fact name="Image">
            <Breakable name={source} />
          </Fact>
        )}
        <Fact name="Row, column">
          {number(row)}, {number(col)}
        </Fact>
        <Fact name="Field">{field || "pixel size not known"}</Fact>
        <Fact name="Stain">{STAINS[facts.stain]}</Fact>
        {TILE_ROWS.filter(([key]) => key in numbers).map(([key, name, unit]) => (
          <Fact key={key} name={name}>
            {inUnit(numbers[key], unit)}
          </Fact>
        ))}
      </dl>
      <LayerTable shown={shown} />
      <AllNumbers of={{ tile: numbers, ...of_layers }} />
      <p class="links">
        <a href={store.imageUrl(place, "input")} download={fileName(place, "input")}>
          Input as PNG
        </a>
        <a href={store.imageUrl(place, "reconstruction")} download={fileName(place, "reconstruction")}>
          Reconstruction as PNG
        </a>
        {facts.dashboard && <a href={`#dashboards/${encodeURIComponent(facts.dashboard)}`}>Dashboard of this step</a>}
      </p>
    </aside>
  );
}

/** With its unit; a share of the area in percent, as on dashboards. */
function inUnit(value: number | null | undefined, unit?: string): string {
  if (unit === "%") return withUnit(value == null ? null : 100 * value, unit);
  return unit ? withUnit(value, unit) : number(value, 3);
}

function fileName({ phase, number, position }: Place, image: string): string {
  return `${phase}_${number}_tile${position + 1}_${image}.png`;
}

function Fact({ name, children }: { name: string; children?: preact.ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

function LayerTable({ shown }: { shown: Shown }) {
  const { layers } = shown.tile.facts;
  const { of_layers } = shown.facts.tiles[shown.position]!;
  const rows = LAYER_ROWS.filter(([key]) => layers.some(({ key: layer }) => key in (of_layers[layer] ?? {})));
  if (!rows.length) return <p class="soft">No numbers of these maps are stored.</p>;
  return (
    <div class="scrolled">
      <table>
        <thead>
          <tr>
            <th>Of the map</th>
            {layers.map((layer) => (
              <th key={layer.key} class="number" title={layer.kind}>
                <Breakable name={layer.name} />
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map(([key, name]) => (
            <tr key={key}>
              <th scope="row">{name}</th>
              {layers.map((layer) => (
                <td key={layer.key} class="number">
                  {number(of_layers[layer.key]?.[key], 3)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** A name that goes on in the next line after one of its signs, rather than within a word. */
export function Breakable({ name }: { name: string }) {
  return (
    <>
      {name.split(/(?<=[_/:])/).map((part, i) => (
        <Fragment key={i}>
          {part}
          <wbr />
        </Fragment>
      ))}
    </>
  );
}

/** Every number as it is stored, for who looks for one that is not above. */
function AllNumbers({ of }: { of: Record<string, Numbers> }) {
  return (
    <details>
      <summary>All numbers of this tile</summary>
      {Object.entries(of).map(([group, numbers]) => (
        <section key={group}>
          <h3>{group.replace("_", " ")}</h3>
          <dl>
            {Object.entries(numbers).map(([name, value]) => (
              <Fact key={name} name={name}>
                {number(value)}
              </Fact>
            ))}
          </dl>
        </section>
      ))}
    </details>
  );
}
