// The server's side of the annotator, for one reader of one run.
import { apiUrl, getArrays, getJson, send, type Arrays } from "../../base/api";
import type {
  Agreement,
  Area,
  Layer,
  MarkClass,
  Marks,
  OtherMarks,
  Overview,
  SentOp,
} from "./types";

/** A server that hangs is as good as none: what was sent is sent again, and applied once. */
const ANSWER_WITHIN_MS = 8000;

export class Server {
  constructor(
    readonly run: string,
    readonly reader: string,
  ) {}

  overview(): Promise<Overview> {
    return getJson(this.url(["overview"], { reader: this.reader }));
  }

  marks(tile: string): Promise<Marks> {
    return getJson(this.url(["tiles", tile, "marks"], { reader: this.reader }));
  }

  /** The server records that others' marks were shown. */
  async others(tile: string): Promise<Marks & { others: OtherMarks[] }> {
    return getJson(this.url(["tiles", tile, "marks"], { reader: this.reader, others: true }));
  }

  change(tile: string, ops: SentOp[]): Promise<Marks> {
    const url = this.url(["tiles", tile, "marks"], { reader: this.reader });
    return send("POST", url, { ops }, { signal: AbortSignal.timeout(ANSWER_WITHIN_MS) });
  }

  classes(classes: MarkClass[]): Promise<{ classes: MarkClass[] }> {
    return send("PUT", this.url(["classes"]), { classes });
  }

  combine(op: "union" | "subtract", geometries: Area[]): Promise<{ geometry: Area | null }> {
    return send("POST", this.url(["geometry"]), { op, geometries });
  }

  maps(tile: string): Promise<Arrays<{ layers: Layer[] }>> {
    return getArrays(this.url(["tiles", tile, "maps"]));
  }

  agreement(tile: string, others: boolean, signal: AbortSignal): Promise<Agreement> {
    const query = { reader: this.reader, ...(others ? { others: true } : {}) };
    return getJson(this.url(["tiles", tile, "agreement"], query), signal);
  }

  /** Adds what a file holds; `faults` say what in it was left out, and why. */
  take(tile: string, content: unknown): Promise<Marks & { imported: number; faults: string[] }> {
    return send("POST", this.url(["tiles", tile, "import"], { reader: this.reader }), content);
  }

  imageUrl(tile: string): string {
    return this.url(["tiles", tile, "input.png"]);
  }

  exportUrl(tile?: string): string {
    return this.url(["export"], { reader: this.reader, tile });
  }

  /** Where the server tells of changes that other tabs made. */
  liveUrl(): string {
    return this.url(["live"], { reader: this.reader });
  }

  private url(path: string[], query: Parameters<typeof apiUrl>[1] = {}): string {
    return apiUrl(["runs", this.run, "annotations", ...path], query);
  }
}

/** Who has read tiles of a run so far. */
export async function readersSoFar(run: string): Promise<Overview["readers"]> {
  const overview = await getJson<Overview>(apiUrl(["runs", run, "annotations", "overview"]));
  return overview.readers;
}
